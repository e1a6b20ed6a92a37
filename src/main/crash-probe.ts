import {
  archiveCrashPoints,
  type CrashProbe,
  checkpointCrashPoints,
  crashPoints,
  diskCrashPoints,
  noCrash,
} from '../kernel/crash-point.ts';

/**
 * For the fault tests: `BOXLEDGER_CRASH_AT=claim.after:vm.boot` ends this process by SIGKILL when it passes that point
 * with that kind of command or effect; with `,SIGSTOP` behind it the process halts there the first time. Anything else is no
 * crash at all.
 */
export const crashProbeOf = (wanted: string | undefined): CrashProbe => {
  const points = [...crashPoints, ...checkpointCrashPoints, ...archiveCrashPoints, ...diskCrashPoints];
  const point = points.find((candidate) => wanted?.startsWith(`${candidate}:`));
  if (point === undefined) return noCrash;
  const [kind, signal] = wanted?.slice(point.length + 1).split(',') ?? [];
  let halts = signal === 'SIGSTOP';
  return (passed, passedKind) => {
    if (passed !== point || passedKind !== kind) return;
    if (signal === undefined) process.kill(process.pid, 'SIGKILL');
    if (halts) process.kill(process.pid, 'SIGSTOP');
    halts = false;
  };
};
