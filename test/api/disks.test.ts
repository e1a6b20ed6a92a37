import { afterAll, beforeAll, expect, test } from 'vitest';
import { boxOptionsSchema } from '../../src/events/box-options.ts';
import { boxId, exportId, snapshotId } from '../../src/kernel/ids.ts';
import { randomIds } from '../../src/main/random-ids.ts';
import { systemClock } from '../../src/main/system-clock.ts';
import { type Client, connect } from '../../src/sdk/client.ts';
import { eventually } from '../support/eventually.ts';
import { someBracket } from '../support/plane.ts';
import { type HandMade, handMade } from './hand-made-host.ts';

/** The real service and client; the host is the test, with a simulated driver for archives. */
let plane: HandMade;
let client: Client;
beforeAll(async () => {
  plane = await handMade();
  client = connect({ address: plane.api.address, actor: 'ann', retries: 0 });
});
afterAll(async () => {
  client.close();
  await plane.close();
});

const never = new AbortController().signal;

/** A box that has run, and is stopped. */
const stopped = async (name: string) => {
  const { box } = await client.create({ name, options: { env: { SECRET: 's3cret' } } });
  await client.start(name, { wait: false });
  await plane.succeed(name, 'vm.boot');
  await client.stop(name, { wait: false });
  await plane.succeed(name, 'vm.shutdown');
  return box.boxId;
};

const snapshotted = async (box: string, name: string) => {
  const asked = client.disks.createSnapshot(box, { name });
  await plane.succeed(box, 'disk.snapshot');
  return (await asked).snapshot;
};

test('a snapshot is made with a name of ours or a given one, listed, looked at, restored and removed', async () => {
  await stopped('kept');
  const first = await snapshotted('kept', 'first');
  expect(first).toMatchObject({ name: 'first', parent: '', consistency: 'file-system', copy: 'copy' });
  const unnamed = client.disks.createSnapshot('kept', { commandId: 'kept-unnamed' });
  await plane.succeed('kept', 'disk.snapshot');
  const { snapshot: second, box } = await unnamed;
  expect(second).toMatchObject({
    name: expect.stringMatching(/^snapshot-[0-9a-z]{10}$/),
    parent: first.snapshotId,
  });
  expect(box).toMatchObject({ state: 'stopped', standsOn: second.snapshotId, operation: undefined });
  expect(box.snapshots.map(({ name }) => name)).toEqual(['first', second.name]);
  expect(await client.disks.listSnapshots('kept')).toEqual(box.snapshots);
  expect(await client.disks.getSnapshot('kept', first.snapshotId)).toEqual(first);

  const restoring = client.disks.restoreSnapshot('kept', 'first');
  await plane.succeed('kept', 'disk.restore');
  expect(await restoring).toMatchObject({ standsOn: first.snapshotId });
  const removing = client.disks.removeSnapshot('kept', second.name);
  await plane.succeed('kept', 'snapshot.remove');
  expect((await removing).snapshots).toEqual([first]);
  await expect(client.disks.getSnapshot('kept', second.name)).rejects.toMatchObject({
    code: 'NotFound',
    help: 'It has first.',
  });
});

test('a snapshot that is asked for again under its command id is the one of the first time', async () => {
  await stopped('repeated');
  const again = () => client.disks.createSnapshot('repeated', { commandId: 'snap-once' });
  const first = again();
  await plane.succeed('repeated', 'disk.snapshot');
  expect((await again()).snapshot).toEqual((await first).snapshot);
  expect(await client.disks.listSnapshots('repeated')).toHaveLength(1);
});

test('whoever waits hears how far the work is, and then what became of it', async () => {
  await stopped('watched');
  const heard: unknown[] = [];
  const asked = client.disks.createSnapshot('watched', {
    name: 'slow',
    onProgress: (...progress) => heard.push(progress),
  });
  const { effect } = await eventually('the snapshot is under way', async () => {
    const box = await client.get('watched');
    return box.operation === undefined ? undefined : box;
  });
  expect((await client.get('watched')).operation).toMatchObject({ kind: 'snapshot' });
  await eventually('progress is heard', async () => {
    plane.progress.report((effect?.effectId ?? '') as never, { bytes: 5, totalBytes: 10 }); // the box's own words
    return heard.length > 0;
  });
  expect(heard[0]).toEqual([5, 10]);
  await plane.fail('watched', 'disk.snapshot', { code: 'ResourceExhausted', message: 'no space left' });
  await expect(asked).rejects.toMatchObject({ code: 'ResourceExhausted', message: 'no space left' });
});

test('a stop that comes first overtakes what a running box is held for', async () => {
  await client.create({ name: 'hurried' });
  await client.start('hurried', { wait: false });
  await plane.succeed('hurried', 'vm.boot');
  const asked = client.disks.createSnapshot('hurried', { name: 'late' });
  await eventually('it is under way', async () => (await client.get('hurried')).bracket === 'snapshot');
  await client.stop('hurried', { wait: false });
  await expect(asked).rejects.toMatchObject({
    code: 'InvalidState',
    message: 'The snapshot of box hurried was overtaken by box.stopRequested.',
  });
});

test.each([
  ['snapshot', (box: string) => client.disks.createSnapshot(box, { name: 'late' })],
  ['restore', (box: string) => client.disks.restoreSnapshot(box, 'kept')],
  ['removal of a snapshot', (box: string) => client.disks.removeSnapshot(box, 'kept')],
  ['clone', (box: string) => client.disks.clone(box, { names: [`${box}-copy`] })],
])('a removal by force that comes first overtakes the %s of a box at rest', async (what, ask) => {
  const name = `forced-${what.replaceAll(' ', '-')}`;
  await stopped(name);
  await snapshotted(name, 'kept');
  const asked = ask(name);
  await eventually('it is under way', async () => (await client.get(name)).operation !== undefined);
  await client.remove(name, { force: true, wait: false });
  await expect(asked).rejects.toMatchObject({
    code: 'InvalidState',
    message: `The ${what} of box ${name} was overtaken by box.removeRequested.`,
  });
});

test('all that is wrong with a request is said at once, and nothing is done', async () => {
  await expect(
    client.disks.createSnapshot('no box', { name: '.a/b\0', consistency: 'fine' as never }), // what the type forbids
  ).rejects.toMatchObject({
    code: 'InvalidArgument',
    faults: expect.arrayContaining([
      { field: 'box', problem: expect.any(String) },
      { field: 'name', problem: 'must not begin with a dot' },
      { field: 'name', problem: 'must not contain "/" or "\\"' },
      { field: 'name', problem: 'must be valid UTF-8 without NUL' },
      { field: 'consistency', problem: 'must be one of best-effort, required' },
    ]),
  });
  await expect(client.disks.clone('x', { names: ['-', 'ok'], count: 2 })).rejects.toMatchObject({
    faults: [{ field: 'names[0]' }, { field: 'count' }],
  });
  await expect(client.disks.clone('x', { names: ['ok'], count: 2 })).rejects.toMatchObject({
    faults: [{ field: 'count', problem: 'must be left out where names are given' }],
  });
});

test('clones are made by names or by number, all at once, and asked for again they are the same', async () => {
  const parent = await stopped('sheep');
  const named = client.disks.clone('sheep', { names: ['dolly', 'molly'] });
  await plane.succeed('sheep', 'disk.clone');
  const { clones } = await named;
  expect(clones).toMatchObject([
    { name: 'dolly', state: 'stopped', hasDisk: true, origin: { from: { $case: 'clone' } } },
    { name: 'molly', options: { env: { SECRET: 's3cret' } } },
  ]);
  expect(clones[0]?.origin?.from).toMatchObject({ value: { boxId: parent } });

  await client.create({ name: 'sheep-2' });
  const again = () => client.disks.clone('sheep', { count: 2, commandId: 'two-more' });
  const counted = again();
  await plane.succeed('sheep', 'disk.clone');
  const made = (await counted).clones.map(({ boxId: id, name }) => [id, name]);
  expect(made.map(([, name]) => name)).toEqual(['sheep-1', 'sheep-3']);
  expect((await again()).clones.map(({ boxId: id, name }) => [id, name])).toEqual(made);
});

test('a clone whose name is taken is refused before anything is copied, or fails as a whole', async () => {
  await stopped('ram');
  await client.create({ name: 'taken' });
  await expect(client.disks.clone('ram', { names: ['free', 'taken'] })).rejects.toMatchObject({
    code: 'AlreadyExists',
    details: { name: 'taken' },
  });
  expect((await client.get('ram')).operation).toBeUndefined();

  const raced = client.disks.clone('ram', { names: ['early', 'raced'] });
  await eventually('it is being cloned', async () => (await client.get('ram')).operation !== undefined);
  await client.create({ name: 'raced' });
  await plane.succeed('ram', 'disk.clone');
  await expect(raced).rejects.toMatchObject({ code: 'AlreadyExists' });
  await expect(client.get('early')).rejects.toMatchObject({ code: 'NotFound' });
});

/** An archive as the host makes it of the box, and the box's export once it is made. */
const exported = async (box: string, options: { readonly env?: Record<string, string> } = {}) => {
  const asked = client.disks.export(box);
  const { operation } = await eventually('it is being exported', async () => {
    const found = await client.get(box);
    return found.operation?.kind === 'export' ? found : undefined;
  });
  const id = exportId(operation?.exportId ?? '');
  const figures = await archiveOn(plane, box, id, options);
  await plane.succeed(box, 'disk.export', { bracket: someBracket, ...figures });
  return { archive: await asked };
};

const archiveOn = async (
  { driver }: HandMade,
  name: string,
  id: ReturnType<typeof exportId>,
  { env = {}, cpus = 1 }: { readonly env?: Record<string, string>; readonly cpus?: number },
) => {
  const source = randomIds.boxId();
  const options = boxOptionsSchema.parse({ env, cpus, labels: { from: 'archive' } });
  await driver.boot({ boxId: source, name, generation: 1, options }, never);
  await driver.snapshotDisk(source, snapshotId('sn_0123456789abcdef'), { signal: never });
  const from = { boxId: source, snapshotId: snapshotId('sn_0123456789abcdef') };
  const manifest = {
    boxledgerVersion: '0.1.0',
    box: { name, options: JSON.parse(JSON.stringify(options)) },
    createdAt: systemClock.now(),
    consistency: 'file-system',
  } as const;
  return driver.exportDisk(from, id, manifest, { signal: never });
};

const bytesOf = async (archive: AsyncIterable<Uint8Array>): Promise<Buffer> => {
  const chunks: Uint8Array[] = [];
  for await (const chunk of archive) chunks.push(chunk);
  return Buffer.concat(chunks);
};

const pieces = async function* (bytes: Buffer, size = 100) {
  for (let from = 0; from < bytes.length; from += size) yield bytes.subarray(from, from + size);
};

test('an export is sent whole, and is gone from the host then; asked for again it is made again', async () => {
  await stopped('parcel');
  const { archive } = await exported('parcel');
  const bytes = await bytesOf(archive.bytes);
  expect(BigInt(bytes.length)).toBe(archive.sizeBytes);
  await eventually('it is gone', async () => (await plane.driver.listExports()).length === 0);

  const again = await exported('parcel');
  expect(again.archive.sha256).not.toBe(archive.sha256);
  await again.archive.close();
  await eventually('that is gone too', async () => (await plane.driver.listExports()).length === 0);
});

test('an import makes a stopped box of an archive, with what is given instead of what the archive says', async () => {
  await stopped('source');
  const bytes = await bytesOf((await exported('source', { env: { A: '1' } })).archive.bytes);
  await expect(client.disks.import(pieces(bytes))).rejects.toMatchObject({ code: 'AlreadyExists' });
  let sent = 0;
  const box = await client.disks.import(pieces(bytes), {
    name: 'landed',
    options: { cpus: 2, env: { B: '2' }, autoStart: false },
    onSent: (done) => {
      sent = done;
    },
  });
  expect(box).toMatchObject({
    name: 'landed',
    state: 'stopped',
    hasDisk: true,
    options: { cpus: 2, env: { A: '1', B: '2' }, labels: { from: 'archive' }, autoStart: false },
    origin: { from: { $case: 'import', value: { sizeBytes: BigInt(bytes.length) } } },
  });
  expect(sent).toBe(bytes.length);
  expect(plane.pending.size).toBe(0);
});

test('an import that is repeated under its command id makes one box, and of another archive it is refused', async () => {
  await stopped('original');
  const bytes = await bytesOf((await exported('original')).archive.bytes);
  const again = (archive = bytes, name = 'once') =>
    client.disks.import(pieces(archive), { name, commandId: 'import-once' });
  const first = await again();
  expect(await again()).toEqual(first);
  expect(await again()).toEqual(first);
  const other = await bytesOf((await exported('original', { env: { X: 'y' } })).archive.bytes);
  await expect(again(other)).rejects.toMatchObject({ code: 'Conflict' });
  await expect(again(bytes, 'twice')).rejects.toMatchObject({ code: 'Conflict' });
  expect(await client.get('once')).toMatchObject({ hasDisk: true, version: 1n });
  expect(await plane.driver.observe(boxId(first.boxId))).toBeDefined();
});

test('a refused import leaves no box, no disk and no mark', async () => {
  await stopped('unwanted');
  const bytes = await bytesOf((await exported('unwanted')).archive.bytes);
  const before = await plane.driver.list();
  await expect(client.disks.import(pieces(bytes), { name: 'unwanted' })).rejects.toMatchObject({
    code: 'AlreadyExists',
  });
  await expect(
    client.disks.import(pieces(bytes), { name: '.', options: { cpus: 64 } }),
  ).rejects.toMatchObject({
    faults: [{ field: 'header.name' }, { field: 'header.options.cpus' }],
  });
  expect(await plane.driver.list()).toEqual(before);
  expect(plane.pending.size).toBe(0);
});

test('an archive of a larger machine says which options to give, and with them it is taken', async () => {
  const id = randomIds.exportId();
  await archiveOn(plane, 'giant', id, { cpus: 200 });
  const bytes = await bytesOf(await plane.driver.openExport(id));
  await expect(client.disks.import(pieces(bytes))).rejects.toMatchObject({
    code: 'InvalidArgument',
    faults: [{ field: 'options.cpus', problem: 'no host has more than 4' }],
  });
  expect(await client.disks.import(pieces(bytes), { options: { cpus: 1 } })).toMatchObject({ name: 'giant' });
});

test.each([
  ['cut short', (bytes: Buffer) => bytes.subarray(0, bytes.length - 7)],
  ['empty', () => Buffer.alloc(0)],
  ['of another kind', () => Buffer.from('no archive at all, but long enough to be one')],
  [
    'altered',
    (bytes: Buffer) => Buffer.from(bytes.map((byte, at) => (at === bytes.length - 40 ? byte ^ 1 : byte))),
  ],
])('an archive that is %s is refused before anything is made', async (_, spoil) => {
  const id = randomIds.exportId();
  await archiveOn(plane, 'spoiled', id, {});
  const bytes = await bytesOf(await plane.driver.openExport(id));
  const before = await plane.driver.list();
  await expect(client.disks.import(pieces(spoil(bytes)), { name: 'spoiled' })).rejects.toMatchObject({
    code: 'InvalidArgument',
  });
  await expect(client.get('spoiled')).rejects.toMatchObject({ code: 'NotFound' });
  expect(await plane.driver.list()).toEqual(before);
  expect(plane.pending.size).toBe(0);
});

test('a box is renamed, once, also when that is asked for again by its old name', async () => {
  const { box } = await client.create({ name: 'before' });
  const again = () => client.rename('before', 'after', { commandId: 'rename-once' });
  expect(await again()).toMatchObject({ boxId: box.boxId, name: 'after', version: 2n });
  expect(await again()).toMatchObject({ name: 'after', version: 2n });
  await expect(client.get('before')).rejects.toMatchObject({ code: 'NotFound' });
  await client.create({ name: 'other' });
  await expect(client.rename('other', 'after')).rejects.toMatchObject({ code: 'AlreadyExists' });
});

test('a restart that is waited for answers when the box runs again', async () => {
  await client.create({ name: 'again' });
  await client.start('again', { wait: false });
  await plane.succeed('again', 'vm.boot');
  const restarting = client.restart('again', { guestTimeoutMs: 5_000 });
  await plane.succeed('again', 'vm.shutdown');
  await plane.succeed('again', 'vm.boot');
  expect(await restarting).toMatchObject({ state: 'running', generation: 2 });
});

test('a pause says until when it is, and options of a year go over the wire', async () => {
  const yearMs = 365 * 24 * 60 * 60 * 1000;
  const { box } = await client.create({
    name: 'patient',
    options: {
      maxLifetimeMs: BigInt(yearMs),
      idleTimeoutMs: 60_000n,
      healthCheck: { command: ['true'], intervalMs: 1_000 },
      restart: { policy: 'on-failure', maxRetries: 3 },
      autoRemove: true,
    },
  });
  expect(box.options).toMatchObject({
    maxLifetimeMs: BigInt(yearMs),
    idleTimeoutMs: 60_000n,
    healthCheck: {
      command: ['true'],
      intervalMs: 1_000,
      timeoutMs: 10_000,
      retries: 3,
      startPeriodMs: 60_000,
    },
    restart: { policy: 'on-failure', maxRetries: 3 },
    autoRemove: true,
  });
  await client.start('patient', { wait: false });
  await plane.succeed('patient', 'vm.boot');
  await client.pause('patient', { wait: false, maxDurationMs: yearMs });
  await plane.succeed('patient', 'vm.pause');
  const { pause } = await client.get('patient');
  expect((pause?.until?.getTime() ?? 0) - (pause?.since?.getTime() ?? 0)).toBe(yearMs);
  await expect(client.pause('patient', { maxDurationMs: 1 })).rejects.toMatchObject({
    faults: [{ field: 'max_duration_ms', problem: 'must be 100 or more' }],
  });
});

test('explain tells of what would be done to a disk', async () => {
  await stopped('asked');
  const explained = (asked: Parameters<typeof client.history.explain>[1]) =>
    client.history.explain('asked', asked).then(({ answer }) => answer);
  expect(await explained({ $case: 'snapshot', value: { name: 'one' } })).toMatchObject({
    $case: 'accepted',
    value: { events: [{ type: 'box.snapshotRequested' }], effects: [{ kind: 'disk.snapshot' }] },
  });
  expect(await explained({ $case: 'clone', value: { names: [], count: 2 } })).toMatchObject({
    value: { effects: [{ kind: 'disk.clone' }] },
  });
  expect(await explained({ $case: 'restore', value: { snapshot: 'none' } })).toMatchObject({
    $case: 'refused',
    value: { code: 'NotFound' },
  });
  expect(await explained({ $case: 'restart', value: {} })).toMatchObject({
    value: { effects: [{ kind: 'vm.boot' }] },
  });
  expect(await explained({ $case: 'export', value: {} })).toMatchObject({
    value: { events: [{ type: 'box.exportRequested' }] },
  });
  expect(await explained({ $case: 'rename', value: { name: 'asked' } })).toMatchObject({
    $case: 'alreadySo',
  });
});
