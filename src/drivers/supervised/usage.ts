import { join } from 'node:path';
import type { BoxProcess, ResourceUsage } from '../../events/box-usage.ts';
import { errnoOf } from '../../kernel/errno.ts';
import { readIfThere } from '../../os/files.ts';
import { groupUsage } from './cgroup.ts';
import { type BoxProcesses, isBoxFrozen, listMembers } from './members.ts';
import { isScaffold, type ListedProcess } from './process-tree.ts';

/** What a box uses, and what runs in it. */

/** Clock ticks in /proc are hundredths of a second on every architecture that Node runs on. */
const msPerTick = 10;
const commandMaxLength = 4_096;

export const usageOf = async (box: BoxProcesses): Promise<ResourceUsage> => {
  const [members, counted] = await Promise.all([listMembers(box), groupUsage(box.record.cgroup)]);
  let residentTotal = 0;
  if (counted.memoryBytes === undefined)
    for (const { identity } of members) residentTotal += (await statusOf(identity.pid)).residentBytes;
  const ticks = members.reduce((sum, { cpuTicks }) => sum + cpuTicks, 0);
  return {
    cpuMs: counted.cpuMs ?? ticks * msPerTick,
    memoryBytes: counted.memoryBytes ?? residentTotal,
    processes: members.length,
    ...(await diskTraffic(members)),
  };
};

export const processesOf = async (box: BoxProcesses): Promise<readonly BoxProcess[]> => {
  const found: BoxProcess[] = [];
  const isFrozen = await isBoxFrozen(box);
  for (const member of await listMembers(box)) {
    const { pid } = member.identity;
    if (box.record.mode !== 'plain' && (await isScaffold(pid))) continue;
    const [status, command] = [await statusOf(pid), await readIfThere(join('/proc', String(pid), 'cmdline'))];
    if (command === undefined) continue; // it ended meanwhile
    const words = command.slice(0, commandMaxLength).replace(/\0+$/, '').replaceAll('\0', ' ');
    found.push({
      pid: status.innerPid ?? pid,
      hostPid: pid,
      hostParentPid: member.parentPid,
      cpuMs: member.cpuTicks * msPerTick,
      memoryBytes: status.residentBytes,
      stopped: isFrozen || member.stopped,
      command: words === '' ? `[${status.name}]` : words,
    });
  }
  return found.sort((a, b) => a.pid - b.pid);
};

/** Linux only; elsewhere nothing is known. `residentBytes`: what it has to itself or shares, as `ps` shows it. */
const statusOf = async (pid: number) => {
  const status = (await readIfThere(join('/proc', String(pid), 'status'))) ?? '';
  const innerPid = /^NSpid:.*\s(\d+)$/m.exec(status)?.[1];
  return {
    name: /^Name:\s+(.*)$/m.exec(status)?.[1] ?? '?',
    innerPid: innerPid === undefined ? undefined : Number(innerPid),
    residentBytes: Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024,
  };
};

/** A process's numbers have those of its children in them that it has waited for. Undefined where one may not be read. */
const diskTraffic = async (members: readonly ListedProcess[]) => {
  if (process.platform !== 'linux') return {};
  let [diskReadBytes, diskWrittenBytes] = [0, 0];
  for (const { identity } of members) {
    const io = await readIfAllowed(join('/proc', String(identity.pid), 'io'));
    if (io === undefined) return {};
    diskReadBytes += Number(/^read_bytes: (\d+)$/m.exec(io)?.[1] ?? 0);
    diskWrittenBytes += Number(/^write_bytes: (\d+)$/m.exec(io)?.[1] ?? 0);
  }
  return { diskReadBytes, diskWrittenBytes };
};

/** Empty when the process has gone; undefined when it is not for us to know. */
const readIfAllowed = async (path: string): Promise<string | undefined> => {
  try {
    return (await readIfThere(path)) ?? '';
  } catch (error) {
    if (errnoOf(error) === 'EACCES' || errnoOf(error) === 'EPERM') return undefined;
    throw error;
  }
};
