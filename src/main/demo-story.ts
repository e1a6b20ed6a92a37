import { strict as assert } from 'node:assert';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { Header, Parser } from 'tar';
import type { Client } from '../sdk/client.ts';

type Say = (line: string) => void;
/** Resolves once this event has been printed. */
export type Printed = (streamId: string, type: string) => Promise<void>;

const words = 'written outside, read inside\n';

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
  await run(['uname', '-a']);

  step('copy a file in, read it inside, copy it out');
  await client.copyIn(boxId, '.', Readable.from([archiveOf('note.txt', words)]));
  await run(['cat', 'note.txt']);
  assert.equal(await firstFileOf(client.copyOut(boxId, 'note.txt')), words);
  say('    copied out again: the same bytes');

  step('pause, resume');
  assert.equal((await client.pause(boxId)).state, 'paused');
  assert.equal((await client.resume(boxId)).state, 'running');
  await printed(stream, 'box.resumed');
  await run(['sh', '-c', 'echo "$GREETING again"']);

  await keepAndCopy(client, boxId, say, printed);

  step('remove');
  assert.equal((await client.remove(boxId)).state, 'removed');
  await printed(stream, 'box.removed');
  return boxId;
};

/** What is done to disks: leaves the box stopped, and nothing of its clone. */
const keepAndCopy = async (client: Client, boxId: string, say: Say, printed: Printed): Promise<void> => {
  const step = (what: string) => say(`\n▸ ${what}`);
  const stream = `box/${boxId}`;

  step('snapshot, while it runs; then write over the file');
  const { snapshot } = await client.disks.createSnapshot(boxId, { name: 'before' });
  await printed(stream, 'box.snapshotCreated');
  say(`    ${snapshot.sizeBytes} bytes kept by ${snapshot.copy}, ${snapshot.consistency} consistent`);
  await runIn(client, boxId, ['sh', '-c', 'echo overwritten > note.txt; cat note.txt'], say, printed);

  step('stop');
  assert.equal((await client.stop(boxId)).state, 'stopped');
  await printed(stream, 'box.stopped');

  step('restore the snapshot: what was written since is gone');
  await client.disks.restoreSnapshot(boxId, 'before');
  await printed(stream, 'box.restored');
  assert.equal(await readNote(client, boxId), words);
  say('    note.txt is what it was: a copy out of it started the box');
  await client.stop(boxId);

  step('clone the box, and run the clone');
  const { clones } = await client.disks.clone(boxId, { names: ['demo-clone'] });
  const [clone] = clones;
  assert(clone !== undefined);
  await printed(`box/${clone.boxId}`, 'box.created');
  assert.equal(await readNote(client, clone.boxId), words);
  await runIn(client, clone.boxId, ['sh', '-c', 'echo "$GREETING from the clone"'], say, printed);
  assert.equal((await client.remove(clone.boxId, { force: true })).state, 'removed');
  await printed(`box/${clone.boxId}`, 'box.removed');
};

const readNote = (client: Client, box: string) => firstFileOf(client.copyOut(box, 'note.txt'));

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
