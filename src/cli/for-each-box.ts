import { reportFailure } from './failure.ts';
import type { Session } from './session.ts';
import { visible } from './visible.ts';

const atOnce = 8;

/**
 * Does the work for every box, some at once, and what follows in the boxes' order. One that fails is reported and the
 * others go on. `doing` says what is waited for. Resolves with the exit code.
 */
export const forEachBox = async <Result>(
  session: Session,
  boxes: readonly string[],
  doing: string,
  work: (box: string) => Promise<Result>,
  then: (result: Result, box: string) => Promise<void>,
): Promise<number> => {
  let code = 0;
  for (let start = 0; start < boxes.length; start += atOnce) {
    const some = boxes.slice(start, start + atOnce);
    const outcomes = some.map((box) => ({
      box,
      settling: work(box).then(
        (result) => ({ box, result }),
        (error: unknown) => ({ box, error }),
      ),
    }));
    for (const { box, settling } of outcomes) {
      const settled = await session.progress(`${doing} ${visible(box)}`, settling);
      session.signal.throwIfAborted();
      if ('error' in settled) code = reportFailure(session.io, settled.error, session.json);
      else await then(settled.result, settled.box);
    }
  }
  return code;
};
