import { execFile } from 'node:child_process';
import { access, constants } from 'node:fs/promises';
import { promisify } from 'node:util';
import { BoxledgerError } from '../../kernel/errors.ts';
import { readIfThere } from '../../os/files.ts';

export type Accelerator = 'kvm' | 'tcg';

const probeMs = 5_000;

/**
 * What runs the machine's instructions: its processor, or QEMU. A processor that cannot is not asked, since QEMU may hang
 * where there is a `/dev/kvm` without one behind it, and the one that is asked has a time limit. Throws `Unsupported` when
 * `kvm` is asked for and cannot be had.
 */
export const chooseAccelerator = async (wanted: Accelerator | 'auto'): Promise<Accelerator> => {
  if (wanted === 'tcg') return 'tcg';
  const problem = await problemOfKvm();
  if (problem === undefined) return 'kvm';
  if (wanted === 'auto') return 'tcg';
  throw new BoxledgerError('Unsupported', `KVM cannot be used here: ${problem}`, {
    help: 'Use a host with virtualisation, allow its user /dev/kvm, or take the accelerator tcg.',
  });
};

const problemOfKvm = async (): Promise<string | undefined> => {
  const info = (await readIfThere('/proc/cpuinfo')) ?? '';
  if (!/^flags\s*:.*\b(vmx|svm)\b/m.test(info)) return 'the processor has no virtualisation';
  try {
    await access('/dev/kvm', constants.R_OK | constants.W_OK);
  } catch {
    return '/dev/kvm cannot be opened';
  }
  const probe = ['-accel', 'kvm', '-M', 'none', '-nographic', '-nodefaults', '-monitor', 'none', '-S'];
  const running = promisify(execFile)('qemu-system-x86_64', [...probe, '-qmp', 'stdio'], {
    timeout: probeMs,
  });
  running.child.stdin?.end('{"execute":"qmp_capabilities"}\n{"execute":"quit"}\n');
  return running.then(
    () => undefined,
    () => 'QEMU does not start with it',
  );
};

/** Frequency of the processor's time stamp counter in kHz, as the kernel tells it. */
export const tscKhz = async (): Promise<number> => {
  const mhz = /^cpu MHz\s*:\s*([\d.]+)$/m.exec((await readIfThere('/proc/cpuinfo')) ?? '')?.[1];
  if (mhz === undefined)
    throw new BoxledgerError('Unsupported', 'the frequency of the processor is not in /proc/cpuinfo');
  return Math.round(Number(mhz) * 1_000);
};
