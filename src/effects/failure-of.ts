import type { Failure } from '../events/failure.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import type { JsonObject } from '../kernel/json.ts';

/** An error as it is recorded. What nobody classified is `Internal`: its place is the log of the process. */
export const failureOf = (error: unknown): Failure => {
  if (!(error instanceof BoxledgerError))
    return { code: 'Internal', message: error instanceof Error ? error.message : String(error) };
  const { code, message, details } = error;
  return { code, message, ...(Object.keys(details).length > 0 && { details }) };
};

/** The same for the outbox, where the last error of an effect that was handed back is kept. */
export const errorJson = (error: unknown): JsonObject => {
  const { details, ...rest } = failureOf(error);
  return details === undefined ? rest : { ...rest, details };
};
