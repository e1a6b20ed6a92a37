import { strict as assert } from 'node:assert';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { Header, Parser } from 'tar';
import type { Client } from '../sdk/client.ts';

type Say = (line: string) => void;

const program = `
const os = require('node:os');
console.log('hello from ' + os.hostname() + ', pid ' + process.pid + ' of ' + os.platform() + ', Node ' + process.version);
console.log('I am user ' + os.userInfo().username + ' in ' + process.cwd());
`;

/** Takes one box from its creation to its removal; returns its id. */
export const liveABoxesLife = async (client: Client, say: Say): Promise<string> => {
  const step = (what: string) => say(`\n▸ ${what}`);

  step('create');
  const { box } = await client.create({
    name: 'demo',
    options: { cpus: 1, memoryMib: 256, env: { GREETING: 'hello' } },
  });
  const { boxId } = box;

  step('start');
  await client.start(boxId);

  step('exec: a program in the box');
  await run(client, boxId, ['node', '-e', program], say);

  step('copy a file in, read it inside, copy it out');
  const words = 'written outside, read inside\n';
  await client.copyIn(boxId, '.', Readable.from([archiveOf('note.txt', words)]));
  await run(client, boxId, ['cat', 'note.txt'], say);
  assert.equal(await firstFileOf(client.copyOut(boxId, 'note.txt')), words);
  say('    copied out again: the same bytes');

  step('pause, resume');
  assert.equal((await client.pause(boxId)).state, 'paused');
  assert.equal((await client.resume(boxId)).state, 'running');
  await run(client, boxId, ['sh', '-c', 'echo "$GREETING again"'], say);

  step('stop');
  const stopped = await client.stop(boxId);
  assert.equal(stopped.state, 'stopped');

  step('remove');
  assert.equal((await client.remove(boxId)).state, 'removed');
  return boxId;
};

const run = async (client: Client, box: string, [command = '', ...args]: string[], say: Say) => {
  let output = '';
  for await (const message of client.exec(box, command, { args })) {
    if (message.kind === 'stdout' || message.kind === 'stderr')
      output += Buffer.from(message.data).toString();
    if (message.kind === 'exited') assert.deepEqual(message.exit?.how, { $case: 'code', value: 0 }, output);
  }
  for (const line of output.trimEnd().split('\n')) say(`    | ${line}`);
};

/** A tar archive of one small file. */
const archiveOf = (path: string, content: string): Buffer => {
  const body = Buffer.from(content);
  const header = new Header({ path, mode: 0o644, size: body.length, type: 'File', mtime: new Date(0) });
  header.encode();
  const padding = Buffer.alloc((512 - (body.length % 512)) % 512);
  return Buffer.concat([header.block ?? Buffer.alloc(512), body, padding, Buffer.alloc(1024)]);
};

const firstFileOf = (archive: AsyncIterable<Uint8Array>): Promise<string> =>
  new Promise((resolve, reject) => {
    const parser = new Parser({ onReadEntry: (entry) => text(entry).then(resolve, reject) });
    Readable.from(archive).on('error', reject).pipe(parser);
  });
