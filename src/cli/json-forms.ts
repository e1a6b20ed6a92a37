import { BoxledgerError } from '../kernel/errors.ts';
import type { JsonObject, JsonValue } from '../kernel/json.ts';
import type { Box, Event, Exit } from '../sdk/client.ts';
import type { ExecInfo } from '../sdk/execs.ts';
import { healthCheckJson, operationJson, originJson, pauseJson, snapshotJson } from './disk-json.ts';
import { momentJson, numberJson, optionalNumberJson } from './json-values.ts';

/**
 * What `--json` prints. Every field is always there, `null` where it has no value, so that a script need not ask whether
 * it is. Moments are RFC 3339 in UTC.
 */
export const boxJson = (box: Box): JsonObject => ({
  boxId: box.boxId,
  tenant: box.tenant,
  name: box.name,
  state: box.state,
  health: box.health,
  bracket: box.bracket === '' ? null : box.bracket,
  operation: operationJson(box.operation),
  version: numberJson(box.version),
  generation: box.generation,
  options: {
    cpus: box.options?.cpus ?? null,
    memoryMib: box.options?.memoryMib ?? null,
    env: box.options?.env ?? {},
    labels: box.options?.labels ?? {},
    workingDir: box.options?.workingDir ?? null,
    network: box.options?.network ?? null,
    autoStart: box.options?.autoStart ?? null,
    healthCheck: healthCheckJson(box.options?.healthCheck),
    restart: {
      policy: box.options?.restart?.policy ?? null,
      maxRetries: box.options?.restart?.maxRetries ?? null,
    },
    idleTimeoutMs: optionalNumberJson(box.options?.idleTimeoutMs),
    maxLifetimeMs: optionalNumberJson(box.options?.maxLifetimeMs),
    autoRemove: box.options?.autoRemove ?? null,
    execLog: { args: box.options?.execLog?.args ?? null, env: box.options?.execLog?.env ?? null },
  },
  placement:
    box.placement === undefined ? null : { hostId: box.placement.hostId, epoch: box.placement.epoch },
  process:
    box.process === undefined
      ? null
      : { pid: box.process.pid, startTime: box.process.startTime, bootId: box.process.bootId },
  effect:
    box.effect === undefined
      ? null
      : { effectId: box.effect.effectId, kind: box.effect.kind, deadline: momentJson(box.effect.deadline) },
  hasDisk: box.hasDisk,
  origin: originJson(box.origin),
  snapshots: box.snapshots.map(snapshotJson),
  standsOn: box.standsOn || null,
  pause: pauseJson(box.pause),
  restarts: box.restarts,
  exit: exitJson(box.exit),
  failure: failureJson(box.failure),
  createdAt: momentJson(box.createdAt),
  startedAt: momentJson(box.startedAt),
  stoppedAt: momentJson(box.stoppedAt),
});

export const execJson = (exec: ExecInfo): JsonObject => ({
  execId: exec.execId,
  boxId: exec.boxId,
  generation: exec.generation,
  state: exec.state,
  program:
    exec.program === undefined ? null : { command: exec.program.command, args: [...exec.program.args] },
  user: exec.user ?? null,
  tty: exec.tty,
  pid: exec.pid ?? null,
  exit: exitJson(exec.exited?.exit),
  timedOut: exec.exited?.timedOut ?? null,
  durationMs: exec.exited === undefined ? null : numberJson(exec.exited.durationMs),
  failure: failureJson(exec.failure),
  requestedAt: momentJson(exec.requestedAt),
  startedAt: momentJson(exec.startedAt),
  endedAt: momentJson(exec.endedAt),
});

const failureJson = (failure: Box['failure']): JsonObject | null =>
  failure === undefined
    ? null
    : {
        code: failure.code,
        message: failure.message,
        details: parsedJson(failure.detailsJson || '{}'),
      };

export const eventJson = (event: Event): JsonObject => ({
  streamId: event.streamId,
  version: numberJson(event.version),
  position: numberJson(event.position),
  type: event.type,
  schemaVersion: event.schemaVersion,
  data: parsedJson(event.dataJson),
  tenant: event.tenant,
  actor: { kind: event.actor?.kind ?? '', id: event.actor?.id ?? '' },
  reason: event.reason ?? null,
  commandId: event.commandId,
  correlationId: event.correlationId,
  causationId: event.causationId ?? null,
  traceparent: event.traceparent ?? null,
  occurredAt: momentJson(event.occurredAt),
  hash: event.hash,
  cursor: event.cursor === '' ? null : event.cursor,
});

/** `{"kind":"code","code":0}`, `{"kind":"signal","signal":"SIGKILL"}` or `{"kind":"unknown"}`, as in the log. */
export const exitJson = (exit: Exit | undefined): JsonObject | null => {
  switch (exit?.how?.$case) {
    case 'code':
      return { kind: 'code', code: exit.how.value };
    case 'signal':
      return { kind: 'signal', signal: exit.how.value };
    case 'unknown':
      return { kind: 'unknown' };
    default:
      return null;
  }
};

export const errorJson = (error: unknown): JsonObject =>
  error instanceof BoxledgerError
    ? {
        code: error.code,
        message: error.message,
        help: error.help ?? null,
        faults: error.faults.map(({ field, problem }) => ({ field, problem })),
        details: error.details,
      }
    : {
        code: 'Internal',
        message: error instanceof Error ? error.message : String(error),
        help: null,
        faults: [],
        details: {},
      };

export const parsedJson = (text: string): JsonValue => {
  try {
    return JSON.parse(text) as JsonValue; // whatever JSON text holds is one
  } catch {
    return text; // not what the contract says, but still what the log says
  }
};
