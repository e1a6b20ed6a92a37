import { Counter, Gauge, Histogram, Registry } from 'prom-client';

/** Bounds in seconds of what takes from a millisecond to a minute or so. */
const shortSeconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const longSeconds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

/**
 * Every metric that a server shows, by what is said of it. docs/metrics.md has the same as a table, and a test holds the two
 * together. Labels take their values from the program's own vocabulary or its configuration: no ids, no names of boxes.
 */
export const openRegistry = () => {
  const registry = new Registry();
  const registers = [registry];
  const gauge = <Label extends string = never>(
    name: string,
    help: string,
    labelNames: readonly Label[] = [],
  ) => new Gauge({ name, help, labelNames, registers });
  const counter = <Label extends string>(name: string, help: string, labelNames: readonly Label[]) =>
    new Counter({ name, help, labelNames, registers });
  const histogram = <Label extends string = never>(
    name: string,
    help: string,
    buckets: number[],
    labelNames: readonly Label[] = [],
  ) => new Histogram({ name, help, buckets, labelNames, registers });

  return {
    registry,
    info: gauge('boxledger_info', 'Always 1; the release is in the label.', ['version']),
    ...serviceMetrics(gauge, counter, histogram),
    ...logMetrics(gauge, histogram),
    calls: {
      started: counter('grpc_server_started_total', 'Calls that began.', callLabels),
      handled: counter('grpc_server_handled_total', 'Calls that ended, by status.', [
        ...callLabels,
        'grpc_code',
      ]),
      handling: histogram(
        'grpc_server_handling_seconds',
        'How long calls took; one that follows something lasts as long as its caller stays.',
        longSeconds,
        callLabels,
      ),
    },
    scrapeFailures: counter(
      'boxledger_scrape_failures_total',
      'Times that something could not be looked up for a scrape, which then lacks it.',
      ['source'],
    ),
  };
};

export type Metrics = ReturnType<typeof openRegistry>;

const callLabels = ['grpc_type', 'grpc_service', 'grpc_method'] as const;

type MakeGauge = <Label extends string = never>(
  name: string,
  help: string,
  labelNames?: readonly Label[],
) => Gauge<Label>;
type MakeCounter = <Label extends string>(
  name: string,
  help: string,
  labelNames: readonly Label[],
) => Counter<Label>;
type MakeHistogram = <Label extends string = never>(
  name: string,
  help: string,
  buckets: number[],
  labelNames?: readonly Label[],
) => Histogram<Label>;

const serviceMetrics = (gauge: MakeGauge, counter: MakeCounter, histogram: MakeHistogram) => ({
  boxes: gauge('boxledger_boxes', 'Boxes that are not removed, of all servers.', ['state']),
  events: counter('boxledger_events_total', 'Events that this server appended.', ['type']),
  commands: counter('boxledger_commands_total', 'Commands that this server answered.', ['command', 'answer']),
  commandSeconds: histogram(
    'boxledger_command_duration_seconds',
    'From a command to its answer, the append included.',
    shortSeconds,
    ['command'],
  ),
  effects: counter('boxledger_effects_total', 'Outcomes of effects that came to this server’s door.', [
    'kind',
    'outcome',
  ]),
  openEffects: gauge('boxledger_open_effects', 'Effects that have no outcome yet, of all servers.', [
    'kind',
    'state',
  ]),
  effectWaitSeconds: gauge(
    'boxledger_open_effects_waiting_seconds',
    'How long the first pending effect has been due.',
    ['kind'],
  ),
  startStageSeconds: histogram(
    'boxledger_box_start_stage_duration_seconds',
    'Stages of starts that succeeded.',
    longSeconds,
    ['stage'],
  ),
  execs: counter('boxledger_execs_ended_total', 'Execs that ended.', ['outcome']),
  execSeconds: histogram('boxledger_exec_duration_seconds', 'How long programs ran.', longSeconds),
});

const logMetrics = (gauge: MakeGauge, histogram: MakeHistogram) => ({
  appendSeconds: histogram(
    'boxledger_append_duration_seconds',
    'One statement that appends, from its sending to its commit.',
    shortSeconds,
  ),
  appendBatch: histogram(
    'boxledger_append_batch_size',
    'Commands that were written by one statement.',
    [1, 2, 4, 8, 16, 32, 64, 128],
  ),
  logLagSeconds: gauge(
    'boxledger_log_lag_seconds',
    'Age of the oldest event that is committed and cannot be read yet; the server’s log names who holds it back.',
  ),
  logBlockerSeconds: gauge(
    'boxledger_log_blocker_age_seconds',
    'Age of the oldest transaction on the database server that writes.',
  ),
  checkpointLagSeconds: gauge(
    'boxledger_checkpoint_lag_seconds',
    'Time since the last checkpoint, or the server’s start, while there are events that are not signed.',
  ),
  unsignedEvents: gauge('boxledger_checkpoint_unsigned_events', 'Events that are not signed, about.'),
  checkpointNumber: gauge('boxledger_checkpoint_number', 'Number of the last checkpoint.'),
  sinkBehind: gauge('boxledger_checkpoint_sink_behind', 'Checkpoints that a sink has not got.', ['sink']),
  sinkFailingSeconds: gauge(
    'boxledger_checkpoint_sink_failing_seconds',
    'How long a sink has taken no checkpoint although there were some.',
    ['sink'],
  ),
  connections: gauge('boxledger_database_connections', 'Connections to the database.', ['state']),
  connectionWaits: gauge('boxledger_database_waiting', 'Statements that wait for a connection.'),
});
