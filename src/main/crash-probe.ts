import {
  archiveCrashPoints,
  type CrashProbe,
  checkpointCrashPoints,
  crashPoints,
  noCrash,
} from '../kernel/crash-point.ts';

/**
 * For the fault tests: `BOXLEDGER_CRASH_AT=claim.after:vm.boot` ends this process by SIGKILL when it passes that point
 * with that kind of command or effect. Anything else is no crash at all.
 */
export const crashProbeOf = (wanted: string | undefined): CrashProbe => {
  const points = [...crashPoints, ...checkpointCrashPoints, ...archiveCrashPoints];
  const point = points.find((candidate) => wanted?.startsWith(`${candidate}:`));
  if (point === undefined) return noCrash;
  const kind = wanted?.slice(point.length + 1);
  return (passed, passedKind) => {
    if (passed === point && passedKind === kind) process.kill(process.pid, 'SIGKILL');
  };
};
