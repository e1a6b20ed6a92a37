import type { Box } from '../gen/boxledger/v1/box.ts';
import type { BoxQuery } from './box-query.ts';
import { type CallOptions, type Channel, callUnary, type Send } from './channel.ts';

/** What is asked for of each page; the fields of the list requests. */
interface PageRequest {
  readonly states: string[];
  readonly labels: Record<string, string>;
  readonly namePrefix: string;
  readonly includeRemoved: boolean;
  readonly pageSize: number;
  readonly pageToken: string;
}

interface BoxPage {
  readonly boxes: readonly Box[];
  /** Empty after the last one. */
  readonly nextPageToken: string;
}

/** The boxes of a list, its pages fetched by `list` as they are read. */
export async function* boxesOf(
  channel: Channel,
  {
    states = [],
    labels = {},
    namePrefix = '',
    includeRemoved = false,
    pageSize = 0,
    ...to
  }: BoxQuery & CallOptions,
  list: (request: PageRequest) => Send<BoxPage>,
): AsyncGenerator<Box, void, undefined> {
  const query = { states: [...states], labels: { ...labels }, namePrefix, includeRemoved, pageSize };
  let pageToken = '';
  do {
    const page = await callUnary<BoxPage>(channel, to, list({ ...query, pageToken }));
    yield* page.boxes;
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
}
