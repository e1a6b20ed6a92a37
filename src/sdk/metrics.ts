import {
  type BoxProcess,
  ConsoleRequest,
  type MetricsResponse,
  type ServiceMetricsResponse,
} from '../gen/boxledger/v1/box_metrics.ts';
import { type CallOptions, type Channel, callUnary } from './channel.ts';
import { messagesOf, streamStart } from './streams.ts';

export type { BoxProcess, MetricsResponse as BoxMetrics, ServiceMetricsResponse as ServiceMetrics };

export interface ConsoleQuery extends CallOptions {
  /** Only the last so many lines; unset: all that is kept. */
  readonly tailLines?: number | undefined;
  /** Goes on with what is written from now on, until the box ends. */
  readonly follow?: boolean | undefined;
}

/** What boxes and the service use and do. Nothing here starts a box. */
export interface MetricsClient {
  metrics(box: string, options?: CallOptions): Promise<MetricsResponse>;
  serviceMetrics(options?: CallOptions): Promise<ServiceMetricsResponse>;
  processes(box: string, options?: CallOptions): Promise<readonly BoxProcess[]>;
  /** What the box wrote on its console since its last start, in pieces; control characters are made visible. */
  console(box: string, query?: ConsoleQuery): AsyncIterable<string>;
}

export const openMetrics = (channel: Channel): MetricsClient => {
  const { boxes } = channel;
  return {
    metrics: (box, to = {}) => callUnary(channel, to, (...rest) => boxes.metrics({ box }, ...rest)),
    serviceMetrics: (to = {}) => callUnary(channel, to, (...rest) => boxes.serviceMetrics({}, ...rest)),
    processes: async (box, to = {}) =>
      (
        await callUnary<{ processes: BoxProcess[] }>(channel, to, (...rest) =>
          boxes.processes({ box }, ...rest),
        )
      ).processes,
    console: (box, query = {}) => consoleOf(channel, box, query),
  };
};

async function* consoleOf(
  channel: Channel,
  box: string,
  { tailLines, follow = false, ...to }: ConsoleQuery,
): AsyncGenerator<string, void, undefined> {
  const request = ConsoleRequest.create({ box, follow, ...(tailLines === undefined ? {} : { tailLines }) });
  const call = channel.boxes.console(request, ...streamStart(channel, to));
  for await (const { text } of messagesOf(channel, call, to.signal)) yield text;
}
