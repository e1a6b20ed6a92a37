import type { CallObserver, CallOfMethod } from '../api/call-observer.ts';
import type { DomainEvent, RecordedEvent } from '../events/envelope.ts';
import type { AnswerObserver } from './metered-door.ts';
import type { Metrics } from './metrics-registry.ts';
import type { ServiceTally } from './metrics-tally.ts';

/** What is measured as it passes. */

export const answerObserver =
  (metrics: Metrics): AnswerObserver =>
  ({ type: command }, answer, durationMs) => {
    metrics.commands.inc({ command, answer: answer?.kind ?? 'failed' });
    metrics.commandSeconds.observe({ command }, durationMs / 1000);
    if (answer?.kind === 'accepted') for (const event of answer.events) happened(metrics, event);
  };

/** Stages that metrics know by name; a driver may tell of others. */
const stages = new Set(['queued', 'image', 'disk', 'spawn', 'guest', 'init']);

const happened = (metrics: Metrics, event: RecordedEvent<DomainEvent>): void => {
  switch (event.type) {
    case 'box.started':
      for (const [stage, ms] of Object.entries(event.data.stagesMs))
        metrics.startStageSeconds.observe({ stage: stages.has(stage) ? stage : 'other' }, ms / 1000);
      return;
    case 'exec.exited': {
      const { exit, timedOut, durationMs } = event.data;
      const isSuccess = exit.kind === 'code' && exit.code === 0;
      metrics.execs.inc({ outcome: timedOut ? 'timed-out' : isSuccess ? 'succeeded' : 'failed' });
      metrics.execSeconds.observe(durationMs / 1000);
      return;
    }
    case 'exec.failed':
      metrics.execs.inc({ outcome: 'not-started' });
      return;
    case 'exec.lost':
      metrics.execs.inc({ outcome: 'lost' });
      return;
    default:
  }
};

export const appendObserver =
  ({ appendSeconds, appendBatch }: Metrics) =>
  (items: number, durationMs: number): void => {
    appendSeconds.observe(durationMs / 1000);
    appendBatch.observe(items);
  };

/** Named and labelled as go-grpc-prometheus does, so that dashboards made for that fit. */
export const callObserver = ({ calls }: Metrics): CallObserver => ({
  began: (call) => calls.started.inc(labelsOf(call)),
  ended: (call, code, durationMs) => {
    calls.handled.inc({ ...labelsOf(call), grpc_code: code });
    calls.handling.observe(labelsOf(call), durationMs / 1000);
  },
});

const labelsOf = ({ type, service, method }: CallOfMethod) => ({
  grpc_type: type,
  grpc_service: service,
  grpc_method: method,
});

/** What the tally has counted already, whoever asks for it. */
export const copyTally = ({ events, effects }: Metrics, tally: ServiceTally): void => {
  events.reset();
  for (const [type, count] of tally.events) events.inc({ type }, count);
  effects.reset();
  for (const { kind, end, count } of tally.effects) effects.inc({ kind, outcome: end }, count);
};
