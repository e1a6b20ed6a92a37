import { type ChildProcess, spawn } from 'node:child_process';
import { chmod, chown, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { BoxledgerError } from '../../kernel/errors.ts';
import type { Owner } from '../supervised/disk.ts';
import { isThere, removeTree } from '../supervised/files.ts';
import { inside } from './confined.ts';
import { GuestLink } from './guest-link.ts';
import { makeDisk, readDisk } from './layered-disk.ts';
import { type MachineBase, machinePlan, templateFiles } from './machine-plan.ts';
import { carryMemory, withMonitor } from './qmp.ts';
import type { TemplateKey } from './templates.ts';
import { writeState } from './write-state.ts';

export interface TemplateMaking {
  readonly base: MachineBase;
  readonly owner: Owner;
  /** File of an empty disk. */
  readonly blank: string;
  /** Directory to work in, and a path to it that is short enough for sockets. */
  readonly work: string;
  readonly sockets: string;
  readonly warmUp: WarmUp;
}

/**
 * Waits until the agent at that socket answers, and has it do once what every box will ask of it, so that machines which
 * go on from there have done it before. `hasDisk`: the machine has its box's own disk, and is to attach it first.
 */
export type WarmUp = (
  socketPath: string,
  machine: { readonly hasDisk: boolean },
  signal: AbortSignal,
) => Promise<void>;

const timeLimitMs = 60_000;
/** One that goes on has to have seen that its host has gone, and to have done what it had put off. */
const restMs = 1_500;

/** Boots a machine of nobody's, up to where a box would begin, and keeps its memory and state in the directory. */
export const makeTemplate = async (
  { base, owner, blank, work, sockets, warmUp }: TemplateMaking,
  { image, options }: TemplateKey,
  directory: string,
  closed: AbortSignal,
): Promise<void> => {
  await removeTree(work);
  const [disk, guest] = [join(work, 'disk'), join(work, 'guest')];
  await mkdir(work, { mode: 0o711 });
  await makeDisk(disk, image.digest, blank, owner);
  await mkdir(guest, { mode: 0o700 });
  for (const path of [guest, directory]) if (owner !== undefined) await chown(path, owner, owner);
  const { active } = await readDisk(disk);
  const machine = { boxId: 'template', nonce: '0'.repeat(16), options, disk, attempt: { guest }, active };
  const template = { directory, use: 'make' } as const;
  const plan = machinePlan(base, { ...machine, image: image.directory, template });
  const qemu = spawn(plan.wrapper[0] ?? 'false', [...plan.wrapper.slice(1), ...plan.program], {
    cwd: '/',
    env: { PATH: process.env['PATH'] ?? '', ...plan.env },
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
  });
  const signal = AbortSignal.any([closed, AbortSignal.timeout(timeLimitMs)]);
  try {
    const socket = (name: string) => join(sockets, 'guest', name);
    await comesUp(qemu, socket('qmp.sock'), signal);
    await useOnce(
      socket('agent.sock'),
      join(sockets, 'guest.sock'),
      (path) => warmUp(path, { hasDisk: false }, signal),
      signal,
    );
    const stateIn = base.confined ? inside.guest : guest;
    await withMonitor(socket('qmp.sock'), async (ask) => {
      await ask('stop');
      await carryMemory(ask, false);
      await writeState(ask, { guest, guestInside: stateIn }, join(directory, templateFiles.state), signal);
    });
  } finally {
    qemu.kill('SIGKILL');
    await removeTree(work);
  }
  if (owner !== undefined) await chown(directory, 0, 0);
  // Those that go on from it open it as if to write.
  await chmod(join(directory, templateFiles.memory), owner === undefined ? 0o600 : 0o666);
  if (owner !== undefined) await chown(join(directory, templateFiles.memory), 0, 0);
};

const comesUp = async (qemu: ChildProcess, monitor: string, signal: AbortSignal): Promise<void> => {
  let said = '';
  let failed = false;
  qemu.once('error', (error) => {
    failed = true;
    said = error.message;
  });
  qemu.stderr?.on('data', (chunk: Buffer) => {
    said = `${said}${chunk}`.slice(-1_000);
  });
  while (!(await isThere(monitor))) {
    signal.throwIfAborted();
    if (failed || qemu.exitCode !== null || qemu.signalCode !== null)
      throw new BoxledgerError('Internal', `the machine for a template ended: ${said}`);
    await delay(20, undefined, { signal });
  }
};

const useOnce = async (
  port: string,
  socket: string,
  use: (socketPath: string) => Promise<void>,
  signal: AbortSignal,
): Promise<void> => {
  const link = new GuestLink(port, socket);
  try {
    await use(socket);
  } finally {
    link.close();
  }
  await delay(restMs, undefined, { signal });
};
