import { constants } from 'node:os';
import type { Exit } from '../sdk/client.ts';

/** As Docker's: everything else is the program's own. */
export const exitCodes = {
  /** boxledger itself failed, or was not used right. */
  ownFailure: 125,
  /** The program is there but cannot be run. */
  notExecutable: 126,
  /** The program is not there. */
  notFound: 127,
  /** doctor found something that does not work. */
  findings: 1,
  /** audit verify found nothing wrong, but a part of the log is in archives that it was not given. */
  notWhole: 2,
} as const;

/** As a shell's: 128 and the signal's number. */
export const exitCodeOfSignal = (name: string): number => {
  const numbers: Readonly<Record<string, number>> = constants.signals;
  return 128 + (numbers[name] ?? 0);
};

/** Undefined when nobody saw how it ended. */
export const exitCodeOf = (exit: Exit | undefined): number | undefined => {
  switch (exit?.how?.$case) {
    case 'code':
      return exit.how.value;
    case 'signal':
      return exitCodeOfSignal(exit.how.value);
    default:
      return undefined;
  }
};
