import { createHash, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { addressText, cannotListen, type ListenAddress } from '../api/listen-address.ts';

export interface MetricsListenerOptions {
  readonly address: ListenAddress;
  /** Bearer token that a scrape has to show; undefined: none. */
  readonly token: string | undefined;
  /** All metrics, as text in the form that `contentType` names. */
  readonly scrape: () => Promise<string>;
  readonly contentType: string;
  readonly onError: (error: unknown) => void;
}

export interface MetricsListener {
  /** HOST:PORT that it listens on. */
  readonly address: string;
  close(): Promise<void>;
}

/** Answers GET /metrics, and nothing else. Scrapes that come at the same time are one. */
export const listenForScrapes = async (options: MetricsListenerOptions): Promise<MetricsListener> => {
  let underWay: Promise<string> | undefined;
  const scrape = () => {
    underWay ??= options.scrape().finally(() => {
      underWay = undefined;
    });
    return underWay;
  };
  const server = createServer({ requestTimeout: 10_000 }, (request, response) => {
    answer(request, response, options, scrape).catch((error: unknown) => {
      options.onError(error);
      if (!response.headersSent) response.writeHead(500);
      response.end();
    });
  });
  server.listen({ ...options.address });
  await once(server, 'listening').catch((cause: Error) => {
    throw cannotListen(addressText(options.address), cause);
  });
  server.on('error', options.onError);
  const bound = server.address() as AddressInfo; // of a server on TCP that listens
  return {
    address: addressText({ ...options.address, port: bound.port }),
    close: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
};

const answer = async (
  { method, url = '', headers }: IncomingMessage,
  response: ServerResponse,
  { token, contentType }: MetricsListenerOptions,
  scrape: () => Promise<string>,
): Promise<void> => {
  const refuse = (status: number, why: string, more: Record<string, string> = {}) =>
    response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', ...more }).end(`${why}\n`);
  if (url.split('?')[0] !== '/metrics') return void refuse(404, 'Metrics are at /metrics.');
  if (method !== 'GET' && method !== 'HEAD') return void refuse(405, 'Only GET.', { allow: 'GET, HEAD' });
  if (token !== undefined && !isToken(headers.authorization, token))
    return void refuse(401, 'A bearer token is needed.', { 'www-authenticate': 'Bearer' });
  const text = await scrape();
  response.writeHead(200, { 'content-type': contentType }).end(method === 'HEAD' ? undefined : text);
};

const isToken = (given: string | undefined, token: string): boolean =>
  timingSafeEqual(digest(given ?? ''), digest(`Bearer ${token}`));

const digest = (text: string) => createHash('sha256').update(text).digest();
