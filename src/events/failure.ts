import { z } from 'zod';
import { BoxledgerError, errorCodes } from '../kernel/errors.ts';
import { jsonObjectSchema } from './schemas.ts';

/** Why an effect failed, as it is recorded. `details` may hold the console's last output, an errno, a path. */
export const failureSchema = z.strictObject({
  code: z.enum(errorCodes),
  message: z.string(),
  details: jsonObjectSchema.optional(),
});
export type Failure = z.infer<typeof failureSchema>;

/** An error as it is recorded. What nobody classified is `Internal`: its place is the log of the process. */
export const failureOf = (error: unknown): Failure => {
  if (!(error instanceof BoxledgerError))
    return { code: 'Internal', message: error instanceof Error ? error.message : String(error) };
  const { code, message, details } = error;
  return { code, message, ...(Object.keys(details).length > 0 && { details }) };
};
