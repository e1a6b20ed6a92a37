import { strict as assert } from 'node:assert';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { Header, Parser } from 'tar';
import type { Client } from '../sdk/client.ts';

type Say = (line: string) => void;
/** Resolves once this event has been printed. */
export type Printed = (streamId: string, type: string) => Promise<void>;

const program = `
const os = require('node:os');
console.log('hello from ' + os.hostname() + ', pid ' + process.pid + ' of ' + os.platform() + ', Node ' + process.version);
console.log('I am user ' + os.userInfo().username + ' in ' + process.cwd());
`;

/** Takes one box from its creation to its removal; returns its id. Each step's events are printed before the next begins. */
export const liveABoxesLife = async (client: Client, say: Say, printed: Printed): Promise<string> => {
  const step = (what: string) => say(`\n▸ ${what}`);
  const run = (args: readonly string[]) => runIn(client, boxId, args, say, printed);

  step('create');
  const { box } = await client.create({
    name: 'demo',
    options: { cpus: 1, memoryMib: 256, env: { GREETING: 'hello' } },
  });
  const { boxId } = box;
  const stream = `box/${boxId}`;
  await printed(stream, 'box.created');

  step('start');
  await client.start(boxId);
  await printed(stream, 'box.started');

  step('exec: a program in the box');
  await run(['node', '-e', program]);

  step('copy a file in, read it inside, copy it out');
  const words = 'written outside, read inside\n';
  await client.copyIn(boxId, '.', Readable.from([archiveOf('note.txt', words)]));
  await run(['cat', 'note.txt']);
  assert.equal(await firstFileOf(client.copyOut(boxId, 'note.txt')), words);
  say('    copied out again: the same bytes');

  step('pause, resume');
  assert.equal((await client.pause(boxId)).state, 'paused');
  assert.equal((await client.resume(boxId)).state, 'running');
  await printed(stream, 'box.resumed');
  await run(['sh', '-c', 'echo "$GREETING again"']);

  step('stop');
  const stopped = await client.stop(boxId);
  assert.equal(stopped.state, 'stopped');
  await printed(stream, 'box.stopped');

  step('remove');
  assert.equal((await client.remove(boxId)).state, 'removed');
  await printed(stream, 'box.removed');
  return boxId;
};

const runIn = async (
  client: Client,
  box: string,
  [command = '', ...args]: readonly string[],
  say: Say,
  printed: Printed,
) => {
  let output = '';
  let execId = '';
  for await (const message of client.exec(box, command, { args })) {
    if (message.kind === 'stdout' || message.kind === 'stderr')
      output += Buffer.from(message.data).toString();
    if (message.kind === 'exited') assert.deepEqual(message.exit?.how, { $case: 'code', value: 0 }, output);
    if (message.kind === 'started') execId = message.execId;
  }
  await printed(`exec/${execId}`, 'exec.exited');
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
