import { constants } from 'node:os';
import { z } from 'zod';
import type { Exit } from '../events/process.ts';
import { boundedText } from '../events/schemas.ts';
import { limits } from '../kernel/limits.ts';
import type { ExecEnd } from './guest.ts';
import { brokenProtocol } from './status.ts';

/*
 * The door for what a guest says. Whoever runs code in a box may have taken over its agent, so nothing is believed:
 * not sizes, not order, not that a number is one.
 */

export const isSignal = (name: string): boolean => Object.hasOwn(constants.signals, name);

const chunk = z
  .instanceof(Uint8Array)
  .refine((bytes) => bytes.length > 0 && bytes.length <= limits.dataChunkBytes, 'a chunk of a wrong size');
const pid = z.int().positive();
const count = z.bigint().nonnegative().max(BigInt(Number.MAX_SAFE_INTEGER)).transform(Number);
const counted = z.int().positive().max(limits.stdinWindowBytes);

export const pingSchema = z.object({ agentVersion: boundedText(64), pid, hostname: boundedText(256) });
export const shutdownSchema = z.object({ killed: z.int().nonnegative(), flushed: z.boolean() });
export const quiesceSchema = z.object({ frozen: z.boolean(), detail: boundedText(1024) });
export const thawSchema = z.object({});
export const attachDiskSchema = z.object({});
export const configureSchema = z.object({});
const transferredSchema = z.object({ entries: count, bytes: count });
export const uploadSchema = z
  .object({ transferred: transferredSchema })
  .transform(({ transferred }) => transferred);
export const downloadSchema = z
  .object({
    part: z.discriminatedUnion('$case', [
      z.object({ $case: z.literal('data'), value: chunk }),
      z.object({ $case: z.literal('done'), value: transferredSchema }),
    ]),
  })
  .transform(({ part }) => part);

const exitSchema = z.discriminatedUnion('$case', [
  z.object({ $case: z.literal('code'), value: z.int().min(0).max(255) }),
  z.object({ $case: z.literal('signal'), value: z.string().refine(isSignal, 'not the name of a signal') }),
]);

const exitedSchema = z.object({
  exit: exitSchema,
  timedOut: z.boolean(),
  durationMs: count,
  stdoutBytes: count,
  stderrBytes: count,
});

/** One message of an exec's output. */
export const execSchema = z
  .object({
    output: z.discriminatedUnion('$case', [
      z.object({ $case: z.literal('started'), value: z.object({ pid }) }),
      z.object({ $case: z.literal('stdout'), value: chunk }),
      z.object({ $case: z.literal('stderr'), value: chunk }),
      z.object({ $case: z.literal('stdinTaken'), value: counted }),
      z.object({ $case: z.literal('skipped'), value: z.object({ bytes: count }) }),
      z.object({ $case: z.literal('exited'), value: exitedSchema.transform(endOf) }),
    ]),
  })
  .transform(({ output }) => output);

export const inspectExecSchema = z
  .object({ pid, exited: exitedSchema.transform(endOf).optional() })
  .transform((found) => ({ pid: found.pid, end: found.exited }));
export const signalExecSchema = z.object({});

function endOf({ exit, ...rest }: z.infer<typeof exitedSchema>): ExecEnd {
  const ended: Exit =
    exit.$case === 'code' ? { kind: 'code', code: exit.value } : { kind: 'signal', signal: exit.value };
  return { ...rest, exit: ended };
}

/** Throws `Internal` when the message is not what the schema says. */
export const parseGuest = <Out>(schema: z.ZodType<Out>, message: unknown): Out => {
  const parsed = schema.safeParse(message);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw brokenProtocol(`${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'invalid'}`.slice(0, 200));
};
