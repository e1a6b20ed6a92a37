import { z } from 'zod';
import { durationMsSchema } from './schemas.ts';

/** Names one process for ever: a pid may be used again, the pair with its start time in one boot of the machine not. */
export const processIdentitySchema = z.strictObject({
  pid: z.int().positive(),
  /** Start time in the unit and epoch of the operating system (Linux: clock ticks since boot), as text. */
  startTime: z.string().min(1),
  /** The boot of the machine that the other two belong to. */
  bootId: z.string().min(1),
});
export type ProcessIdentity = z.infer<typeof processIdentitySchema>;

/** How a process ended. `unknown`: it is gone and nobody saw how. */
export const exitSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('code'), code: z.int().min(0).max(255) }),
  z.strictObject({ kind: z.literal('signal'), signal: z.string().min(1) }),
  z.strictObject({ kind: z.literal('unknown') }),
]);
export type Exit = z.infer<typeof exitSchema>;

/** Durations of the stages of a boot in milliseconds, by stage (`queued`, `disk`, `spawn`, `guest`). */
export const stagesSchema = z.record(z.string(), durationMsSchema);
