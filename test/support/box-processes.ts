import { readdir, readFile } from 'node:fs/promises';

export interface BoxProcess {
  readonly pid: number;
  readonly command: string;
  /** One for each boot of a box. */
  readonly nonce: string;
  readonly boxId: string;
  /** Of /proc/PID/stat: `Z` is dead. */
  readonly state: string;
  readonly startTime: string;
}

const read = (file: string) => readFile(file, 'utf8').catch(() => ''); // it may have ended meanwhile

export const boxProcessOf = async (pid: number): Promise<BoxProcess | undefined> => {
  const environment = await read(`/proc/${pid}/environ`);
  const value = (key: string) => new RegExp(`(?:^|\\0)${key}=([^\\0]*)`).exec(environment)?.[1];
  const [boxId, nonce] = [value('BOXLEDGER_BOX_ID'), value('BOXLEDGER_BOOT')];
  if (boxId === undefined || nonce === undefined) return undefined;
  const [command, stat] = await Promise.all([read(`/proc/${pid}/cmdline`), read(`/proc/${pid}/stat`)]);
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return {
    pid,
    command: command.replaceAll('\0', ' '),
    nonce,
    boxId,
    state: fields[0] ?? '',
    startTime: fields[19] ?? '',
  };
};

/** Live processes inside of boxes, by what their environment says. */
export const boxProcesses = async (): Promise<BoxProcess[]> => {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  const found = await Promise.all(pids.map(boxProcessOf));
  return found.filter((it) => it !== undefined).filter(({ state }) => state !== '' && state !== 'Z');
};

/** Pid, as the host sees it, of the guest agent of a box. */
export const agentOf = async (boxId: string): Promise<number> => {
  const agent = (await boxProcesses()).find(
    (it) => it.boxId === boxId && /^\S*node \S*agent/.test(it.command),
  );
  if (agent === undefined) throw new Error(`${boxId} has no agent`);
  return agent.pid;
};
