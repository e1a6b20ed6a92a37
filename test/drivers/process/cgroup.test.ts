import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import {
  type CgroupPaths,
  canFreeze,
  cgroupOf,
  findCgroups,
  freezeGroup,
  isFrozen,
  killGroup,
  makeCgroup,
  membersOf,
  removeCgroup,
  unfreezeGroup,
} from '../../../src/drivers/supervised/cgroup.ts';
import { newBoxId } from '../support/spec.ts';

const host = await findCgroups();
const { unified, ...version1 } = cgroupOf(host, newBoxId(), randomBytes(8).toString('hex'));
const versions: readonly (readonly [string, CgroupPaths])[] = [
  ['version 2', unified === undefined ? {} : { unified }],
  ['version 1', version1],
];

for (const [version, group] of versions)
  test.skipIf(!canFreeze(group))(
    `groups of ${version} freeze, thaw and kill their members, frozen or not`,
    async () => {
      await makeCgroup(group, { cpus: 1, memoryMib: 64 });
      onTestFinished(async () => {
        await killGroup(group);
        await removeCgroup(group);
        await removeCgroup(group);
      });
      const sleepers = [spawn('sleep', ['1000']), spawn('sleep', ['1000'])];
      for (const { pid } of sleepers)
        for (const directory of Object.values(group))
          await writeFile(join(directory, 'cgroup.procs'), String(pid));
      expect(new Set(await membersOf(group))).toEqual(new Set(sleepers.map(({ pid }) => pid)));
      expect(await isFrozen(group)).toBe(false);
      await freezeGroup(group);
      expect(await isFrozen(group)).toBe(true);
      await unfreezeGroup(group);
      expect(await isFrozen(group)).toBe(false);
      await freezeGroup(group);
      const exits = Promise.all(sleepers.map((sleeper) => once(sleeper, 'exit')));
      await killGroup(group);
      expect(await exits).toEqual([
        [null, 'SIGKILL'],
        [null, 'SIGKILL'],
      ]);
    },
  );
