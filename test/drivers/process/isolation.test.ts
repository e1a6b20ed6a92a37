import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { boxUid } from '../../../src/drivers/supervised/disk.ts';
import { eventually, untilValue } from '../../support/eventually.ts';
import {
  makeDataDir,
  openProcessHarness,
  type ProcessHarness,
  workingModes,
} from '../support/process-harness.ts';
import { never, newBoxId, specOf } from '../support/spec.ts';

const repository = fileURLToPath(new URL('../../..', import.meta.url));
const isRoot = process.getuid?.() === 0;
const working = await workingModes();

for (const mode of working.filter((it) => it !== 'plain'))
  describe(`a box in mode ${mode}`, () => {
    let harness: ProcessHarness;
    const [id, other] = [newBoxId(), newBoxId()];
    const ask = <Value>(expression: string) => harness.ask<Value>(id, expression);
    const canRead = (path: string) =>
      ask<string>(
        `(() => { try { require('fs').readdirSync(${JSON.stringify(path)}); return 'read' } catch (e) { return e.code } })()`,
      );
    const sh = (command: string) =>
      ask<string>(`require('child_process').execSync(${JSON.stringify(command)}).toString()`);

    beforeAll(async () => {
      // Where nobody but the service's user can go.
      harness = await openProcessHarness(mode, { dataDir: await makeDataDir(isRoot ? '/root' : undefined) });
      await harness.driver.boot(specOf(id, 1, { memoryMib: 256 }), never);
      await harness.driver.boot(specOf(other), never);
      await harness.writeDisk(other, 'mark', 'here');
    });
    afterAll(() => harness?.close());

    test('says what keeps it apart', async () => {
      const { isolates, measures } = await harness.driver.isolation();
      expect(isolates).toBe(true);
      expect(measures.join()).toContain('own mount, pid, ipc and uts namespaces');
    });

    test("sees neither the host's files nor the data directory nor another box's disk", async () => {
      expect(await canRead(repository)).toBe('ENOENT');
      expect(await canRead(harness.dataDir)).toBe('ENOENT');
      expect(await canRead('/root')).toBe('ENOENT');
      expect(await canRead('/proc/1/root/root')).not.toBe('read');
      expect(await ask('require("fs").readdirSync("/home")')).toEqual(['box']);
      expect(await ask('require("fs").existsSync("/home/box/mark")')).toBe(false);
      expect(await canRead('/etc/shadow')).toBe('ENOENT');
      expect(await canRead('/sys')).toBe('ENOENT');
    });

    test('has no open file of the host but its console', async () => {
      const open = await ask<readonly string[]>(
        '(() => { const fs = require("fs"); return fs.readdirSync("/proc/self/fd").flatMap((fd) => { try { return [fs.readlinkSync("/proc/self/fd/" + fd)] } catch { return [] } }) })()',
      );
      expect(
        open.filter((path) => path.includes(harness.dataDir) && !path.endsWith('/console.pipe')),
      ).toEqual([]);
      expect(await sh('ls -l /proc/1/fd 2>/dev/null | grep -c guest || true')).toBe('0\n');
    });

    test("cannot write to the system's directories, but to its home and /tmp", async () => {
      for (const path of ['/usr/x', '/etc/x', '/x', '/run/boxledger/x', '/dev/x'])
        expect(
          await ask(
            `(() => { try { require('fs').writeFileSync('${path}', ''); return 'written' } catch (e) { return e.code } })()`,
          ),
        ).toMatch(/EROFS|EACCES/);
      expect(
        await sh(
          'echo hello > ~/file && mkdir -p /tmp/d && echo there > /tmp/d/file && cat ~/file /tmp/d/file',
        ),
      ).toBe('hello\nthere\n');
      expect(
        await sh('echo x > /dev/null; head -c 3 /dev/zero | wc -c; echo $HOME; pwd; hostname; id -un'),
      ).toBe('3\n/home/box\n/home/box\na-box\nbox\n');
    });

    test('sees its own processes only', async () => {
      const pids = await ask<readonly string[]>(
        'require("fs").readdirSync("/proc").filter((n) => /^\\d+$/.test(n))',
      );
      expect(pids.length).toBeLessThan(5);
      expect(pids).toContain('1');
    });

    test('is not the user of its host, and has no capability and no way to gain one', async () => {
      const status = await ask<string>('require("fs").readFileSync("/proc/self/status", "utf8")');
      expect(status).toMatch(/^CapEff:\s+0+$/m);
      expect(status).toMatch(/^CapPrm:\s+0+$/m);
      expect(status).toMatch(/^NoNewPrivs:\s+1$/m);
      const found = await harness.driver.observe(id);
      const pid = found.kind === 'running' ? found.process.pid : 0;
      const agent = await eventually(
        'the agent on the host',
        async () => (await deepestChild(pid)) ?? undefined,
      );
      if (isRoot) expect(await uidOf(agent)).toBe(boxUid);
      if (mode !== 'unshare-without-user') expect(status).toMatch(/^Uid:\s+1000\s/m);
    });

    test('has no network but a loopback that works', async () => {
      expect(await ask('Object.keys(require("os").networkInterfaces())')).toEqual(['lo']);
      expect(
        await ask(
          `new Promise((done) => { const net = require('net'); const s = net.createServer((c) => c.end('hi')).listen(0, '127.0.0.1', () => net.connect(s.address().port, '127.0.0.1').on('data', (d) => { done(String(d)); s.close() })) })`,
        ),
      ).toBe('hi');
    });

    test("with the host's network it has the host's interfaces", async () => {
      const third = newBoxId();
      await harness.driver.boot(specOf(third, 1, { network: 'host' }), never);
      const seen = await harness.ask<readonly string[]>(
        third,
        'Object.keys(require("os").networkInterfaces())',
      );
      const { networkInterfaces } = await import('node:os');
      expect(seen).toEqual(Object.keys(networkInterfaces()));
      await harness.driver.kill(third);
    });

    test('reaps orphans', async () => {
      await sh('(sleep 0.05 &) ; true');
      await untilValue(
        () => sh("grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null | wc -l"),
        (zombies) => zombies.trim() === '0',
      );
    });

    test('stands still while it is frozen', async () => {
      const found = await harness.driver.observe(other);
      if (found.kind !== 'running') throw new Error('it does not run');
      await harness.ask(
        other,
        'void setInterval(() => require("fs").appendFileSync("/home/box/count", "."), 1)',
      );
      const counted = async () =>
        (await readFile(join(harness.dataDir, 'boxes', other, 'disk', 'count'))).length;
      await untilValue(
        () => counted().catch(() => 0),
        (count) => count > 0,
      );
      await harness.driver.freeze(other, found.process);
      const before = await counted();
      await new Promise((resolve) => setTimeout(resolve, 200)); // time for it to count on, if it could
      expect(await counted()).toBe(before);
      await harness.driver.unfreeze(other, found.process);
      await untilValue(counted, (count) => count > before);
    });
  });

const uidOf = async (pid: number): Promise<number> =>
  Number(/^Uid:\s+(\d+)/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1]);

/** The process at the end of a chain of only children, once that is one of node. */
const deepestChild = async (pid: number): Promise<number | undefined> => {
  const children = (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => ''))
    .trim()
    .split(' ');
  if (children[0] === '' || children[0] === undefined)
    return (await readFile(`/proc/${pid}/comm`, 'utf8')).trim() === 'node' ? pid : undefined;
  return deepestChild(Number(children[0]));
};
