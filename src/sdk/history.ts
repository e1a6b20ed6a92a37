import type { Box } from '../gen/boxledger/v1/box.ts';
import {
  type ChainLink,
  type Change,
  type DiffResponse,
  ExplainRequest,
  type ExplainResponse,
  type GetAtResponse,
  ListAtRequest,
  type WhyRequest,
  type WhyResponse,
  type Moment as WireMoment,
} from '../gen/boxledger/v1/history_service.ts';
import { boxOf } from './box-of.ts';
import { boxesOf } from './box-pages.ts';
import type { BoxQuery } from './box-query.ts';
import { type CallOptions, type Channel, callUnary } from './channel.ts';

export type { ChainLink, Change, DiffResponse, ExplainResponse, GetAtResponse, WhyResponse };

/** A time, or a version of a box's stream. */
export type Moment = Date | bigint;

/** What could be asked of a box. */
export type Asked = NonNullable<ExplainRequest['command']>;

/** Questions about any moment. Nothing here changes anything. */
export interface HistoryClient {
  /** With a time, a name is that of the box which had it then. */
  getAt(box: string, at: Moment, options?: CallOptions): Promise<GetAtResponse & { readonly box: Box }>;
  /** All that fitted the query at that time, oldest first, page by page as they are read. */
  listAt(at: Date, query?: BoxQuery & CallOptions): AsyncIterable<Box>;
  /** `to` unset: now. */
  diff(box: string, from: Moment, to?: Moment, options?: CallOptions): Promise<DiffResponse>;
  /** The last event of the box, unless another is named by its version or the command that led to it. */
  why(
    box: string,
    about?: CallOptions & { readonly version?: bigint | undefined; readonly commandId?: string | undefined },
  ): Promise<WhyResponse>;
  /** What a command would lead to now. */
  explain(
    box: string,
    asked: Asked,
    options?: CallOptions & { readonly expectedVersion?: bigint | undefined },
  ): Promise<ExplainResponse>;
}

export const openHistory = (channel: Channel): HistoryClient => {
  const { history } = channel;
  return {
    getAt: async (box, at, to = {}) => {
      const request = { box, at: momentOf(at) };
      const answer = await callUnary<GetAtResponse>(channel, to, (...rest) =>
        history.getAt(request, ...rest),
      );
      return { ...answer, box: boxOf(answer.box) };
    },
    listAt: (at, query = {}) =>
      boxesOf(
        channel,
        query,
        (page) =>
          (...rest) =>
            history.listAt(ListAtRequest.create({ ...page, at }), ...rest),
      ),
    diff: (box, from, until, to = {}) => {
      const request = { box, from: momentOf(from), to: until === undefined ? undefined : momentOf(until) };
      return callUnary<DiffResponse>(channel, to, (...rest) => history.diff(request, ...rest));
    },
    why: (box, { version, commandId, ...to } = {}) => {
      const request = { box, about: aboutOf(version, commandId) };
      return callUnary<WhyResponse>(channel, to, (...rest) => history.why(request, ...rest));
    },
    explain: (box, command, { expectedVersion, ...to } = {}) => {
      const request = ExplainRequest.create({ box, command, expectedVersion });
      return callUnary<ExplainResponse>(channel, to, (...rest) => history.explain(request, ...rest));
    },
  };
};

const momentOf = (moment: Moment): WireMoment => ({
  when: typeof moment === 'bigint' ? { $case: 'version', value: moment } : { $case: 'time', value: moment },
});

const aboutOf = (version: bigint | undefined, commandId: string | undefined): WhyRequest['about'] => {
  if (version !== undefined) return { $case: 'version', value: version };
  return commandId === undefined ? undefined : { $case: 'commandId', value: commandId };
};
