import { setMaxListeners } from 'node:events';
import { logVerbosity, Server, ServerCredentials, type ServerOptions, setLogVerbosity } from '@grpc/grpc-js';
import { HealthImplementation } from 'grpc-health-check';
import { BoxServiceService } from '../gen/boxledger/v1/box_service.ts';
import { DiskServiceService } from '../gen/boxledger/v1/disk_service.ts';
import { EventServiceService } from '../gen/boxledger/v1/event_service.ts';
import { ExecServiceService } from '../gen/boxledger/v1/exec_service.ts';
import { HistoryServiceService } from '../gen/boxledger/v1/history_service.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import { limits } from '../kernel/limits.ts';
import type { ApiDeps } from './api-deps.ts';
import { authenticated } from './authentication.ts';
import { observed } from './call-observer.ts';
import type { Service } from './calls.ts';
import { cannotListen } from './listen-address.ts';
import { reflection } from './reflection.ts';
import {
  boxHandlers,
  diskHandlers,
  eventHandlers,
  execHandlers,
  historyHandlers,
  tolerantMethods,
} from './services.ts';

export interface ApiServer {
  /** `host:port` (port 0: any) or `unix:/path`. Resolves with the address that it serves at. */
  listen(address: string): Promise<string>;
  /**
   * Takes no more calls, ends those that wait, follow or are attached to a program with `Unavailable`, and lets all others
   * come to their end, but for no longer than `timeoutMs`.
   */
  close(timeoutMs: number): Promise<void>;
}

/** Without a token, whoever can reach the address may do everything: which addresses that may be is not decided here. */
export const createApiServer = (deps: ApiDeps): ApiServer => {
  const ending = new AbortController();
  setMaxListeners(0, ending.signal); // one for each call under way
  const service: Service = { deps, ends: ending.signal, underWay: new Set() };
  const server = new Server(optionsOf(deps));
  server.addService(tolerantMethods(BoxServiceService), boxHandlers(service));
  server.addService(tolerantMethods(DiskServiceService), diskHandlers(service));
  server.addService(tolerantMethods(ExecServiceService), execHandlers(service));
  server.addService(tolerantMethods(EventServiceService), eventHandlers(service));
  server.addService(tolerantMethods(HistoryServiceService), historyHandlers(service));
  const services = ['BoxService', 'DiskService', 'ExecService', 'EventService', 'HistoryService'];
  const names = ['', ...services.map((name) => `boxledger.v1.${name}`)];
  const health = new HealthImplementation(Object.fromEntries(names.map((name) => [name, 'SERVING'])));
  health.addToServer(server);
  reflection(names.filter((name) => name !== '')).addToServer(server);

  return {
    listen: (address) => bind(server, address),
    close: async (timeoutMs) => {
      for (const name of names) health.setStatus(name, 'NOT_SERVING');
      const drained = new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
      ending.abort(
        new BoxledgerError('Unavailable', 'The server is shutting down.', {
          help: 'Call again: what was recorded stays recorded.',
        }),
      );
      await within(timeoutMs, Promise.all([drained, ...service.underWay]));
      server.forceShutdown();
    },
  };
};

const optionsOf = ({ token, logger, callObserver }: ApiDeps): ServerOptions => ({
  'grpc.max_receive_message_length': limits.messageMaxBytes,
  // A caller's machine that is gone without a word is noticed.
  'grpc.keepalive_time_ms': 60_000,
  'grpc.keepalive_timeout_ms': 20_000,
  // The first is nearest to the wire, and sees how the others end a call.
  interceptors: [
    ...(callObserver === undefined ? [] : [observed(callObserver)]),
    ...(token === undefined ? [] : [authenticated(token, logger)]),
  ],
});

const bind = (server: Server, address: string): Promise<string> =>
  new Promise((resolve, reject) => {
    // What grpc-js would print of a failure, in no form of ours, is in the error that it gives us.
    if (process.env['GRPC_VERBOSITY'] === undefined) setLogVerbosity(logVerbosity.NONE);
    server.bindAsync(address, ServerCredentials.createInsecure(), (error, port) => {
      if (error === null)
        resolve(address.startsWith('unix:') ? address : address.replace(/:\d+$/, `:${port}`));
      else reject(cannotListen(address, error));
    });
  });

/** Resolves when `work` is done or the time is over. */
const within = (timeoutMs: number, work: Promise<unknown>): Promise<void> =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, timeoutMs);
    void work.finally(() => {
      clearTimeout(timer);
      resolve();
    });
  });
