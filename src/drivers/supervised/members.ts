import { setTimeout as delay } from 'node:timers/promises';
import type { ProcessIdentity } from '../../events/process.ts';
import { BoxledgerError } from '../../kernel/errors.ts';
import type { BoxId } from '../../kernel/ids.ts';
import { limits } from '../../kernel/limits.ts';
import { isAlive, signalProcess } from '../../os/process-identity.ts';
import type { BootRecord } from './boot-record.ts';
import { canFreeze, freezeGroup, isFrozen, killGroup, membersOf, unfreezeGroup } from './cgroup.ts';
import { isScaffold, type ListedProcess, lookAt, marksOf, treeOf } from './process-tree.ts';

/** What a box's processes can be found by. */
export interface BoxProcesses {
  readonly boxId: BoxId;
  readonly record: BootRecord;
  readonly shim: ProcessIdentity;
  readonly main: ProcessIdentity;
  readonly disk: string;
}

/** Live processes of the box, the outermost one included, the shim not. */
export const listMembers = async (box: BoxProcesses): Promise<readonly ListedProcess[]> => {
  const pids = await membersOf(box.record.cgroup);
  if (pids !== undefined) {
    // The outermost process joins the group as its first step; until then it is alone.
    const listed = await lookAt(pids, box.record.bootId);
    if (listed.length > 0 || !(await isAlive(box.main))) return listed;
    return lookAt([box.main.pid], box.record.bootId);
  }
  return treeOf({
    marks: marksOf(box.record.nonce, box.disk),
    main: box.main,
    shim: box.shim,
    ownPidNamespace: box.record.mode !== 'plain',
  });
};

/**
 * Without a group to freeze, the outermost process is stopped first and goes on last: as long as it is stopped, the box is
 * frozen or was left half frozen. Any other may have been stopped by the box itself.
 */
export const isBoxFrozen = async (box: BoxProcesses): Promise<boolean> => {
  if (canFreeze(box.record.cgroup)) return isFrozen(box.record.cgroup);
  const [main] = await lookAt([box.main.pid], box.record.bootId);
  return main?.identity.startTime === box.main.startTime && main.stopped;
};

/** Does nothing but in tests that break it off there. */
type Passed = (step: 'first stopped' | 'all others go on') => void;
const noTest: Passed = () => undefined;

/** Returns once nothing in the box runs. */
export const freezeBox = async (box: BoxProcesses, passed = noTest): Promise<void> => {
  if (canFreeze(box.record.cgroup)) return freezeGroup(box.record.cgroup);
  const until = performance.now() + limits.freezeTimeoutMs;
  await signalProcess(box.main, 'SIGSTOP');
  passed('first stopped');
  // A process that is not stopped yet may have had children since the last look.
  while (performance.now() < until) {
    const running = (await listMembers(box)).filter(({ stopped }) => !stopped);
    if (running.length === 0) return;
    for (const { identity } of running) await signalProcess(identity, 'SIGSTOP');
    await delay(2);
  }
  await unfreezeBox(box);
  throw new BoxledgerError('DeadlineExceeded', `not frozen within ${limits.freezeTimeoutMs} ms`);
};

export const unfreezeBox = async (box: BoxProcesses, passed = noTest): Promise<void> => {
  if (canFreeze(box.record.cgroup)) return unfreezeGroup(box.record.cgroup);
  const until = performance.now() + limits.freezeTimeoutMs;
  // Bounded, because a program may stop itself again and again.
  while (performance.now() < until) {
    const stopped = (await listMembers(box)).filter(
      (member) => member.stopped && member.identity.pid !== box.main.pid,
    );
    if (stopped.length === 0) break;
    for (const { identity } of stopped) await signalProcess(identity, 'SIGCONT');
    await delay(2);
  }
  passed('all others go on');
  await signalProcess(box.main, 'SIGCONT');
};

export const terminateBox = async (box: BoxProcesses): Promise<void> => {
  for (const { identity } of await listMembers(box))
    if (box.record.mode === 'plain' || !(await isScaffold(identity.pid)))
      await signalProcess(identity, 'SIGTERM');
};

/** Sends SIGKILL to all there is, once; says whether there was anything. */
export const killMembers = async (box: BoxProcesses): Promise<boolean> => {
  const members = await listMembers(box);
  if (members.length === 0) return false;
  await killGroup(box.record.cgroup);
  for (const { identity } of members) await signalProcess(identity, 'SIGKILL');
  return true;
};
