import { execFile } from 'node:child_process';
import { appendFile, chmod, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { imageCommands } from '../../../src/main/images.ts';
import { randomIds } from '../../../src/main/random-ids.ts';
import { eventually } from '../../support/eventually.ts';
import { chunksOf } from '../support/forged-archive.ts';
import { makeDataDir } from '../support/process-harness.ts';
import { never, newBoxId, newSnapshotId, specOf, unhurried } from '../support/spec.ts';
import { archiveOf, emptyDisk, openQemuHarness, type QemuHarness } from './support/qemu-harness.ts';
import { describeMachines } from './support/test-image.ts';

const run = promisify(execFile);
/** As many as a small host can start while others test; by hand, more. */
const crowd = Number(process.env['BOXLEDGER_TEST_MACHINES'] ?? 6);

await describeMachines('machines', () => {
  let harness: QemuHarness;
  const failures: unknown[] = [];
  beforeAll(async () => {
    harness = await openQemuHarness({ templateFailed: (error) => failures.push(error) });
  });
  afterAll(() => harness?.close());

  const boot = async (id = newBoxId(), generation = 1) => {
    const { process } = await harness.driver.boot(specOf(id, generation), never);
    return { id, process };
  };
  const templatesIn = async () =>
    (await readdir(join(harness.dataDir, 'templates'))).filter((name) => /^[0-9a-f]{64}$/.test(name));
  const templateMade = () => eventually('a template', async () => (await templatesIn()).length > 0, 60_000);
  const memoryOfTemplate = async () => {
    const [name = ''] = await templatesIn();
    return join(harness.dataDir, 'templates', name, 'memory');
  };
  /** How long it took from its start until its kernel was as old as it is now: a machine that goes on was never young. */
  const uptimeOf = async (id: Parameters<QemuHarness['sh']>[0]) =>
    Number((await harness.sh(id, 'cat /proc/uptime')).split(' ')[0]);

  test('machines that go on from one template share no random number, id or disk, and know the time', async () => {
    const first = await boot();
    await harness.sh(first.id, 'true');
    await templateMade();
    const began = performance.now();
    const boxes = await Promise.all([boot(), boot(), boot()]);
    const look =
      'head -c 16 /dev/urandom | od -An -tx1; cat /proc/sys/kernel/random/uuid; date +%s; cat ~/mine 2>&1';
    const seen = await Promise.all(
      boxes.map(async ({ id }, index) =>
        (await harness.sh(id, `${look}; echo ${index} > ~/mine`)).split('\n'),
      ),
    );
    expect(await uptimeOf(boxes[0]?.id ?? newBoxId())).toBeGreaterThan((performance.now() - began) / 1_000);
    expect(new Set(seen.map(([random]) => random)).size).toBe(3);
    expect(new Set(seen.map(([, uuid]) => uuid)).size).toBe(3);
    for (const [, , time, file] of seen) {
      expect(Math.abs(Number(time) - Date.now() / 1_000)).toBeLessThan(30);
      expect(file).toContain('No such file');
    }
    const mine = await Promise.all(boxes.map(({ id }) => harness.sh(id, 'cat ~/mine')));
    expect(mine).toEqual(['0\n', '1\n', '2\n']);
    for (const { id } of [first, ...boxes]) await harness.driver.kill(id);
    expect(failures).toEqual([]);
  });

  test('a box goes on from a template with the disk that it had', async () => {
    const { id } = await boot();
    await harness.writeDisk(id, 'kept', 'through');
    await harness.driver.kill(id);
    await templateMade();
    await boot(id, 2);
    expect(await harness.readDisk(id, 'kept')).toBe('through');
    await harness.driver.kill(id);
  });

  test(`${crowd} machines at once all answer, one that dies harms no other, and the template stays what it was`, async () => {
    await templateMade();
    const memory = await memoryOfTemplate();
    const digest = async () => (await run('sha256sum', [memory])).stdout;
    const before = await digest();
    const boxes = await Promise.all(Array.from({ length: crowd }, () => boot()));
    const ids = await Promise.all(boxes.map(({ id }) => harness.sh(id, 'cat /proc/sys/kernel/random/uuid')));
    expect(new Set(ids).size).toBe(crowd);
    const [first, ...others] = boxes;
    if (first === undefined) throw new Error('no machines');
    process.kill(first.process.pid, 'SIGKILL');
    expect(await harness.driver.ended(first.id, first.process, never)).toMatchObject({ signal: 'SIGKILL' });
    const filled = 'head -c 40000000 /dev/zero > /tmp/filled && wc -c < /tmp/filled';
    const sizes = await Promise.all(others.slice(0, 2).map(({ id }) => harness.sh(id, filled)));
    expect(sizes).toEqual(['40000000\n', '40000000\n']);
    const answers = await Promise.all(others.map(({ id }) => harness.sh(id, 'echo here')));
    expect(new Set(answers)).toEqual(new Set(['here\n']));
    for (const { id } of boxes) await harness.driver.kill(id);
    expect(await digest()).toBe(before);
  });

  test('another instance takes a machine over with what runs in it', async () => {
    const first = await harness.another();
    const id = newBoxId();
    const { process } = await first.boot(specOf(id), never);
    const agent = await harness.guest(id);
    const execId = randomIds.execId();
    const spec = { command: 'sh', args: ['-c', 'mkfifo /tmp/gate; read line < /tmp/gate; exit 3'], env: {} };
    const signal = AbortSignal.timeout(50_000);
    await agent.startExec(execId, spec, { env: {}, workingDir: undefined }, signal);
    agent.close();
    await first.close();
    const next = await harness.another();
    expect(await next.observe(id)).toMatchObject({ kind: 'running', process });
    const again = await harness.guest(id);
    await harness.sh(id, 'echo > /tmp/gate');
    expect((await again.waitExec(execId, signal)).exit).toEqual({ kind: 'code', code: 3 });
    again.close();
    await next.kill(id);
  });

  test('what was written before a quiesced snapshot is in it, and its file system is clean, though QEMU is killed then', async () => {
    const { id, process } = await boot();
    const agent = await harness.guest(id);
    await harness.sh(id, 'echo written > ~/before');
    const signal = AbortSignal.timeout(60_000);
    expect(await agent.quiesce(signal)).toMatchObject({ frozen: true });
    await harness.driver.freeze(id, process);
    const snapshotId = newSnapshotId();
    await harness.driver.snapshotDisk(id, snapshotId, unhurried);
    agent.close();
    await harness.driver.kill(id);
    const [kept, raw] = [
      join(harness.dataDir, 'boxes', id, 'snapshots', snapshotId, 'disk'),
      join(harness.dataDir, 'raw'),
    ];
    const record = JSON.parse(await readFile(join(kept, 'disk.json'), 'utf8'));
    await run('qemu-img', ['convert', '-O', 'raw', join(kept, record.active), raw]);
    const { stdout } = await run('e2fsck', ['-n', '-f', raw]); // fails where there is anything to mend
    expect(stdout).not.toContain('recover');
    await rm(raw);
    await harness.driver.restoreDisk(id, snapshotId, unhurried);
    expect(await harness.readDisk(id, 'before')).toBe('written\n');
  });

  test('an agent that is killed while it holds the file system frozen has it thawed by the next', async () => {
    const { id } = await boot();
    const agent = await harness.guest(id);
    const signal = AbortSignal.timeout(50_000);
    expect(await agent.quiesce(signal)).toMatchObject({ frozen: true });
    await expect(
      (async () => {
        const killer = agent.exec(
          randomIds.execId(),
          { command: 'sh', args: ['-c', 'kill -KILL $PPID'], env: {} },
          { env: {}, workingDir: undefined },
          signal,
        );
        for await (const _ of killer);
      })(),
    ).rejects.toMatchObject({ code: 'Unavailable' });
    agent.close();
    expect(await harness.sh(id, 'echo written > ~/after && cat ~/after')).toBe('written\n');
    await harness.driver.kill(id);
  });

  test('a disk of many snapshots becomes one file at the next start', async () => {
    const { id } = await boot();
    await harness.driver.kill(id);
    for (let taken = 0; taken < 10; taken += 1) {
      await harness.writeDisk(id, `file${taken}`, String(taken));
      await harness.driver.snapshotDisk(id, newSnapshotId(), unhurried);
    }
    await boot(id, 2);
    expect(await harness.readDisk(id, 'file3')).toBe('3');
    expect((await readdir(join(harness.dataDir, 'boxes', id, 'disk'))).length).toBe(2);
    await harness.driver.kill(id);
  });

  test('a machine that shuts its console up or floods it holds nothing of the host', async () => {
    const { id } = await boot();
    await harness.sh(
      id,
      'head -c 3000000 /dev/zero | tr "\\0" "x" > /dev/console; printf "\\033[2Jend\\n" > /dev/console',
    );
    await eventually('the end of it', async () =>
      (await harness.driver.consoleTail(id, 200)).includes('end'),
    );
    expect(await harness.driver.consoleTail(id, 200)).toContain('\\x1b[2Jend');
    const attempt = join(harness.dataDir, 'run', id);
    const { stdout } = await run('du', ['-sk', '--exclude=*.sock', attempt]);
    expect(Number(stdout.split('\t')[0])).toBeLessThan(2_048);
    await harness.driver.kill(id);
  });

  test('a disk whose file was made to name one of the host is opened by no program of the host', async () => {
    const { id } = await boot();
    await harness.driver.kill(id);
    const disk = join(harness.dataDir, 'boxes', id, 'disk');
    const { active } = JSON.parse(await readFile(join(disk, 'disk.json'), 'utf8'));
    await run('qemu-img', ['rebase', '-u', '-b', '/etc/hostname', '-F', 'raw', join(disk, active)]);
    const named = { code: 'Internal', message: expect.stringContaining('does not stand on') };
    await expect(harness.driver.snapshotDisk(id, newSnapshotId(), unhurried)).rejects.toMatchObject(named);
  });

  test('disks that name other files, or are none, make no box', async () => {
    const directory = await makeDataDir();
    const [raw, secret] = [join(directory, 'raw'), join(directory, 'secret')];
    await emptyDisk(raw);
    const made = async (name: string, ...args: readonly string[]) => {
      await run('qemu-img', [...args, join(directory, name)]);
      return readFile(join(directory, name));
    };
    const good = await made('good', 'convert', '-f', 'raw', '-O', 'qcow2', raw);
    await run('truncate', ['-s', '64M', secret]);
    const backed = await made('backed', 'create', '-f', 'qcow2', '-b', secret, '-F', 'raw');
    const elsewhere = await run('qemu-img', [
      'create',
      '-f',
      'qcow2',
      '-o',
      `data_file=${secret}`,
      join(directory, 'out'),
      '1M',
    ]).then(() => readFile(join(directory, 'out')));
    const huge = await run('qemu-img', ['create', '-f', 'qcow2', join(directory, 'huge'), '1T']).then(() =>
      readFile(join(directory, 'huge')),
    );
    const damaged = Buffer.from(good);
    damaged.fill(0xff, 65_536, 65_536 * 3);
    const { image } = harness;
    const wrong: readonly (readonly [Buffer, RegExp])[] = [
      [await archiveOf(backed, image), /names another file/],
      [await archiveOf(elsewhere, image), /features/],
      [await archiveOf(huge, image), /larger/],
      [await archiveOf(damaged, image), /damaged/],
      [await archiveOf(Buffer.from('hello'), image), /no qcow2/],
      [await archiveOf(good, image, 'disk/other'), /something else/],
      [await archiveOf(good, null), /no image/],
    ];
    for (const [archive, named] of wrong) {
      const id = newBoxId();
      await expect(harness.driver.importDisk(id, chunksOf(archive), unhurried)).rejects.toMatchObject({
        code: 'InvalidArgument',
        message: expect.stringMatching(named),
      });
      expect(await harness.driver.list()).not.toContain(id);
    }
    const absent = await archiveOf(good, `sha256-${'0'.repeat(64)}`);
    await expect(harness.driver.importDisk(newBoxId(), chunksOf(absent), unhurried)).rejects.toMatchObject({
      code: 'NotFound',
    });
    await rm(directory, { recursive: true });
  });

  test('a template that somebody wrote to is found, and the box boots without it', async () => {
    await templateMade();
    await appendFile(await memoryOfTemplate(), 'x');
    const { id } = await boot();
    expect(await harness.sh(id, 'echo up')).toBe('up\n');
    expect(failures.splice(0)).toEqual([
      expect.objectContaining({ message: expect.stringContaining('made anew') }),
    ]);
    await templateMade();
    await harness.driver.kill(id);
  });

  test('a template whose state cannot be gone on from is thrown away, and the box boots', async () => {
    await templateMade();
    const state = join(await memoryOfTemplate(), '../state');
    const whole = await readFile(state);
    await chmod(state, 0o600);
    await writeFile(state, whole.subarray(0, 1_000));
    const { id } = await boot();
    expect(await harness.sh(id, 'echo up')).toBe('up\n');
    await harness.driver.kill(id);
  });

  test('an image is removed when nothing stands on it; a box without one says what to do', async () => {
    const options = { dataDir: harness.dataDir } as Parameters<typeof imageCommands.list>[0];
    for (const id of await harness.driver.list()) {
      await harness.driver.kill(id);
      await harness.driver.removeDisk(id);
    }
    const { id } = await boot();
    await harness.driver.kill(id);
    expect(await imageCommands.list(options)).toMatchObject([
      { digest: harness.image, isCurrent: true, disks: 1 },
    ]);
    await expect(imageCommands.remove(options, harness.image)).rejects.toMatchObject({
      code: 'InvalidState',
    });
    const kernel = join(harness.dataDir, 'images', harness.image, 'image.json');
    await rename(kernel, `${kernel}.gone`);
    await expect(boot(id, 2)).rejects.toMatchObject({
      code: 'NotFound',
      help: expect.stringContaining('image build'),
    });
    await rename(`${kernel}.gone`, kernel);
    await harness.driver.removeDisk(id);
    await imageCommands.remove(options, harness.image);
    expect(await imageCommands.list(options)).toEqual([]);
    await expect(boot()).rejects.toMatchObject({
      code: 'InvalidState',
      help: expect.stringContaining('image build'),
    });
  });
});
