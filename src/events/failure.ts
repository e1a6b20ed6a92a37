import { z } from 'zod';
import { errorCodes } from '../kernel/errors.ts';
import { jsonObjectSchema } from './schemas.ts';

/** Why an effect failed, as it is recorded. `details` may hold the console's last output, an errno, a path. */
export const failureSchema = z.strictObject({
  code: z.enum(errorCodes),
  message: z.string(),
  details: jsonObjectSchema.optional(),
});
export type Failure = z.infer<typeof failureSchema>;
