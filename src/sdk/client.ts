import type { Box, BoxOptions, Exit, HealthCheck, RestartPolicy } from '../gen/boxledger/v1/box.ts';
import {
  type CopyInResponse,
  CreateRequest,
  type CreateResponse,
  ListRequest,
  WatchRequest,
  type WatchResponse,
} from '../gen/boxledger/v1/box_service.ts';
import type { Event } from '../gen/boxledger/v1/event.ts';
import { ReadAllRequest, ReadStreamRequest } from '../gen/boxledger/v1/event_service.ts';
import type { Exec } from './attached-exec.ts';
import { boxOf } from './box-of.ts';
import { boxesOf } from './box-pages.ts';
import type { BoxQuery } from './box-query.ts';
import { type ChangeClient, openChanges, type WaitableChange } from './changes.ts';
import {
  type CallOptions,
  type ChangeOptions,
  type Channel,
  type ConnectOptions,
  callUnary,
  mutationOf,
  openChannel,
} from './channel.ts';
import { type CopyInOptions, type CopyOutOptions, copyIn, copyOut } from './copy.ts';
import { type DiskClient, openDisks } from './disks.ts';
import { type ExecOptions, openExec } from './exec.ts';
import { type ExecClient, openExecs } from './execs.ts';
import { type HistoryClient, openHistory } from './history.ts';
import { type MetricsClient, openMetrics } from './metrics.ts';
import { messagesOf, streamStart } from './streams.ts';

export type { BoxMetrics, BoxProcess, ConsoleQuery, MetricsClient, ServiceMetrics } from './metrics.ts';
export type { Box, BoxOptions, BoxQuery, Event, Exit, HealthCheck, RestartPolicy, WaitableChange };

export interface CreateBox extends ChangeOptions {
  /** Made up by the server when unset. */
  readonly name?: string | undefined;
  /** What is unset takes its default. */
  readonly options?: Partial<BoxOptions> | undefined;
  /** When a box of this name exists: answer with it if its options are the same, else refuse. */
  readonly getOrCreate?: boolean | undefined;
}

export interface WatchQuery extends CallOptions {
  /** Unset: all boxes. */
  readonly box?: string | undefined;
  readonly types?: readonly string[] | undefined;
  /** Go on after this cursor; unset: from the beginning of the log. */
  readonly cursor?: string | undefined;
  readonly fromNow?: boolean | undefined;
}

export interface ReadAllQuery extends CallOptions {
  readonly cursor?: string | undefined;
  readonly types?: readonly string[] | undefined;
  readonly categories?: readonly string[] | undefined;
  /** Goes on live after the end of the log. */
  readonly follow?: boolean | undefined;
  readonly limit?: bigint | undefined;
}

/**
 * A boxledger server. `box` is an id, a name, or an id prefix that only one box has. Every call throws `BoxledgerError`
 * or, when it was ended by its signal, the signal's reason. Calls with one answer are repeated while the server is
 * unavailable; those that change something carry a command id, so that the repetition changes nothing twice.
 */
export interface Client extends ChangeClient, MetricsClient {
  create(request?: CreateBox): Promise<{ readonly box: Box; readonly created: boolean }>;
  get(box: string, options?: CallOptions): Promise<Box>;
  /** All that fit the query, oldest first, page by page as they are read. */
  list(query?: BoxQuery & CallOptions): AsyncIterable<Box>;
  /** Resolves once the box is in one of the states, at once if it is. */
  wait(box: string, states: readonly string[], options?: CallOptions): Promise<Box>;
  watch(query?: WatchQuery): AsyncIterable<NonNullable<WatchResponse['message']>>;
  exec(box: string, command: string, options?: ExecOptions): Exec;
  /** Programs that run in boxes, whoever asked for them. */
  readonly execs: ExecClient;
  copyIn(
    box: string,
    path: string,
    tar: AsyncIterable<Uint8Array>,
    options?: CopyInOptions,
  ): Promise<CopyInResponse>;
  copyOut(box: string, path: string, options?: CopyOutOptions): AsyncIterable<Uint8Array>;
  /** Events of one stream with a version above `afterVersion`, oldest first. */
  readStream(
    streamId: string,
    options?: CallOptions & {
      readonly afterVersion?: bigint | undefined;
      readonly types?: readonly string[] | undefined;
      readonly limit?: bigint | undefined;
    },
  ): AsyncIterable<Event>;
  readAll(query?: ReadAllQuery): AsyncIterable<Event>;
  /** Snapshots, clones and archives. */
  readonly disks: DiskClient;
  /** Questions about any moment. */
  readonly history: HistoryClient;
  close(): void;
}

export const connect = (options: ConnectOptions): Client => {
  const channel = openChannel(options);
  const { boxes } = channel;
  const call = <Response>(...[callOptions, send]: CallArguments<Response>) =>
    callUnary(channel, callOptions, send);
  const changed = (response: { box: Box | undefined }) => boxOf(response.box);

  return {
    async create(request = {}) {
      const message = CreateRequest.create({
        mutation: mutationOf(request),
        name: request.name ?? '',
        options: request.options ?? {},
        getOrCreate: request.getOrCreate ?? false,
      });
      const response = await call<CreateResponse>(request, (...to) => boxes.create(message, ...to));
      return { box: boxOf(response.box), created: response.created };
    },
    get: async (box, to = {}) => changed(await call(to, (...rest) => boxes.get({ box }, ...rest))),
    list: (query = {}) => listAll(channel, query),
    ...openChanges(channel),
    wait: async (box, states, to = {}) =>
      changed(await call(to, (...rest) => boxes.wait({ box, states: [...states] }, ...rest))),
    watch: (query = {}) => watchBoxes(channel, query),
    exec: (box, command, to = {}) => openExec(channel, box, command, to),
    execs: openExecs(channel),
    copyIn: (box, path, tar, to = {}) => copyIn(channel, box, path, tar, to),
    copyOut: (box, path, to = {}) => copyOut(channel, box, path, to),
    ...openMetrics(channel),
    readStream: (streamId, { afterVersion = 0n, types = [], limit = 0n, ...to } = {}) => {
      const request = ReadStreamRequest.create({ streamId, afterVersion, types: [...types], limit });
      return eventsOf(channel, (...rest) => channel.events.readStream(request, ...rest), to);
    },
    disks: openDisks(channel),
    readAll: ({ cursor = '', types = [], categories = [], follow = false, limit = 0n, ...to } = {}) => {
      const filter = { types: [...types], categories: [...categories] };
      const request = ReadAllRequest.create({ cursor, ...filter, follow, limit });
      return eventsOf(channel, (...rest) => channel.events.readAll(request, ...rest), to);
    },
    history: openHistory(channel),
    close: () => channel.close(),
  };
};

type CallArguments<Response> = [CallOptions, Parameters<typeof callUnary<Response>>[2]];

const listAll = (channel: Channel, query: BoxQuery & CallOptions) =>
  boxesOf(
    channel,
    query,
    (page) =>
      (...rest) =>
        channel.boxes.list(ListRequest.create(page), ...rest),
  );

async function* watchBoxes(
  channel: Channel,
  { box = '', types = [], cursor = '', fromNow = false, ...to }: WatchQuery,
): AsyncGenerator<NonNullable<WatchResponse['message']>, void, undefined> {
  const request = WatchRequest.create({ box, types: [...types], cursor, fromNow });
  const call = channel.boxes.watch(request, ...streamStart(channel, to));
  for await (const { message } of messagesOf(channel, call, to.signal))
    if (message !== undefined) yield message;
}

async function* eventsOf(
  channel: Channel,
  open: (
    ...start: ReturnType<typeof streamStart>
  ) => Parameters<typeof messagesOf<{ event: Event | undefined }>>[1],
  to: CallOptions,
): AsyncGenerator<Event, void, undefined> {
  for await (const { event } of messagesOf(channel, open(...streamStart(channel, to)), to.signal))
    if (event !== undefined) yield event;
}
