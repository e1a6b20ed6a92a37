import type { Exit, ProcessIdentity } from '../../events/process.ts';
import { sameProcess } from '../../os/process-identity.ts';
import { readBootRecord, readExit, readIdentity } from './boot-record.ts';
import type { BoxState } from './box-state.ts';
import type { BoxLayout } from './layout.ts';
import { lifelineBroken } from './lifeline.ts';

interface Waiting {
  /** Settles the box while nothing else is done to it: that clears away what the run left, too. */
  readonly lookAt: <Result>(look: (state: BoxState) => Result) => Promise<Result>;
  /** Resolves once the box, which is suspended now, is so no more. */
  readonly awoken: () => Promise<void>;
  readonly signal: AbortSignal;
}

/** Resolves with how the run that is known by the process ended, in however many processes it went on after suspensions. */
export const endOf = async (
  box: BoxLayout,
  process: ProcessIdentity,
  { lookAt, awoken, signal }: Waiting,
): Promise<Exit> => {
  for (;;) {
    const record = await readBootRecord(box);
    const attempt = record && box.attempt(record.nonce);
    const main = record && attempt && (record.knownAs ?? (await readIdentity(attempt.main, record.bootId)));
    // What a later boot has replaced has ended, and nobody knows how any more.
    if (attempt === undefined || main === undefined || !sameProcess(main, process))
      return { kind: 'unknown' };
    await lifelineBroken(attempt.lifeline, signal);
    const found = await lookAt((state) => {
      if (state.kind === 'suspended') return { awoken: awoken(), exit: undefined };
      // A later boot may have come meanwhile.
      const exit = state.kind === 'ended' && state.record.nonce === record?.nonce ? state.exit : undefined;
      return { awoken: undefined, exit };
    });
    if (found.awoken === undefined) return found.exit ?? (await readExit(attempt)) ?? { kind: 'unknown' };
    await found.awoken;
  }
};
