import { connect } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import {
  listenForScrapes,
  type MetricsListener,
  type MetricsListenerOptions,
} from '../../src/main/metrics-listener.ts';

let listener: MetricsListener | undefined;
afterEach(() => listener?.close());

const listen = async (options: Partial<MetricsListenerOptions> = {}) => {
  listener = await listenForScrapes({
    address: { host: '127.0.0.1', port: 0 },
    token: undefined,
    scrape: async () => 'up 1\n',
    contentType: 'text/plain; version=0.0.4',
    onError: () => undefined,
    ...options,
  });
  const { address } = listener;
  return (path = '/metrics', init: RequestInit = {}) => fetch(`http://${address}${path}`, init);
};

test('metrics are text at /metrics, and nothing is anywhere else', async () => {
  const ask = await listen();
  const answer = await ask();
  expect(answer.headers.get('content-type')).toBe('text/plain; version=0.0.4');
  expect(await answer.text()).toBe('up 1\n');
  expect((await ask('/metrics?x=1', { method: 'HEAD' })).status).toBe(200);
  expect((await ask('/')).status).toBe(404);
  expect((await ask('/metrics/..')).status).toBe(404);
  expect((await ask('/metrics', { method: 'POST' })).status).toBe(405);
});

test('with a token, who does not show it gets nothing', async () => {
  let scrapes = 0;
  const ask = await listen({
    token: 'secret-of-16-characters',
    scrape: async () => {
      scrapes += 1;
      return '';
    },
  });
  for (const authorization of ['', 'Bearer wrong', 'secret-of-16-characters'])
    expect((await ask('/metrics', { headers: { authorization } })).status).toBe(401);
  expect(scrapes).toBe(0);
  const authorization = 'Bearer secret-of-16-characters';
  expect((await ask('/metrics', { headers: { authorization } })).status).toBe(200);
});

test('scrapes that come at the same time are one, and one that fails is said', async () => {
  let scrapes = 0;
  const errors: unknown[] = [];
  const ask = await listen({
    onError: (error) => errors.push(error),
    scrape: async () => {
      scrapes += 1;
      if (scrapes > 1) throw new Error('no metrics');
      await new Promise((resolve) => setImmediate(resolve));
      return 'once 1\n';
    },
  });
  // Both requests in one packet, so that neither is over when the other comes.
  const [host = '', port] = (listener?.address ?? '').split(':');
  const socket = connect(Number(port), host);
  const request = (more: string) => `GET /metrics HTTP/1.1\r\nHost: here\r\n${more}\r\n`;
  socket.write(request('') + request('Connection: close\r\n'));
  let answers = '';
  for await (const data of socket) answers += String(data);
  expect(answers.match(/once 1/g)).toHaveLength(2);
  expect(scrapes).toBe(1);
  expect((await ask()).status).toBe(500);
  expect(errors).toMatchObject([{ message: 'no metrics' }]);
});

test('an address that is taken is said with what helps', async () => {
  await listen();
  const [, port] = (listener?.address ?? '').split(':');
  const taken = { host: '127.0.0.1', port: Number(port) };
  await expect(
    listenForScrapes({
      address: taken,
      token: undefined,
      scrape: async () => '',
      contentType: '',
      onError: () => undefined,
    }),
  ).rejects.toMatchObject({ code: 'Unavailable', details: { address: listener?.address } });
});
