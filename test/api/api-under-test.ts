import { type Client, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { BadRequest, ErrorInfo, RetryInfo } from 'nice-grpc-error-details';
import { Status } from 'nice-grpc-error-details/lib/proto/google/rpc/status.js';
import { pino } from 'pino';
import { expect } from 'vitest';
import type { ApiDeps } from '../../src/api/api-deps.ts';
import { createApiServer } from '../../src/api/server.ts';
import { BoxServiceClient } from '../../src/gen/boxledger/v1/box_service.ts';
import { DiskServiceClient } from '../../src/gen/boxledger/v1/disk_service.ts';
import { EventServiceClient } from '../../src/gen/boxledger/v1/event_service.ts';
import { ExecServiceClient } from '../../src/gen/boxledger/v1/exec_service.ts';
import { HistoryServiceClient } from '../../src/gen/boxledger/v1/history_service.ts';
import { defaultTenant } from '../../src/kernel/ids.ts';

/** Stands where nothing may come: a request with a fault ends at the wire's door. */
const unreachable = <Port extends object>(name: string): Port =>
  new Proxy({} as Port, {
    // any use of it throws, so it needs no members
    get: (_, property) => {
      throw new Error(`${name}.${String(property)} was reached`);
    },
  });

export const unreachableDeps = (): ApiDeps => ({
  door: unreachable('door'),
  memory: unreachable('memory'),
  boxes: unreachable('boxes'),
  log: unreachable('log'),
  feed: unreachable('feed'),
  history: unreachable('history'),
  moments: unreachable('moments'),
  explainer: unreachable('explainer'),
  guests: unreachable('guests'),
  counts: unreachable('counts'),
  progress: unreachable('progress'),
  archives: unreachable('archives'),
  execs: unreachable('execs'),
  keeper: unreachable('keeper'),
  placement: () => Promise.reject(new Error('placement was reached')),
  capacity: { cpus: 4, memoryMib: 8192 },
  ids: unreachable('ids'),
  tenant: defaultTenant,
  localActor: { kind: 'user', id: 'tester' },
  token: undefined,
  logger: pino({ level: 'silent' }),
});

export interface RunningApi {
  readonly address: string;
  readonly boxes: BoxServiceClient;
  readonly disks: DiskServiceClient;
  readonly execs: ExecServiceClient;
  readonly events: EventServiceClient;
  readonly history: HistoryServiceClient;
  close(timeoutMs?: number): Promise<void>;
}

/** A real server on a port of its own, and real clients. */
export const startApi = async (deps: ApiDeps): Promise<RunningApi> => {
  const server = createApiServer(deps);
  const address = await server.listen('127.0.0.1:0');
  const boxes = new BoxServiceClient(address, credentials.createInsecure());
  const disks = new DiskServiceClient(address, credentials.createInsecure());
  const execs = new ExecServiceClient(address, credentials.createInsecure());
  const events = new EventServiceClient(address, credentials.createInsecure());
  const history = new HistoryServiceClient(address, credentials.createInsecure());
  return {
    address,
    boxes,
    disks,
    execs,
    events,
    history,
    close: async (timeoutMs = 10_000) => {
      boxes.close();
      disks.close();
      events.close();
      history.close();
      await server.close(timeoutMs);
    },
  };
};

type Unary<Request, Response> = (
  request: Request,
  metadata: Metadata,
  options: { deadline?: number },
  callback: (error: ServiceError | null, response: Response) => void,
) => unknown;

/** One unary call, as a promise. */
export const call = <Request, Response>(
  client: Client,
  method: Unary<Request, Response>,
  request: Request,
  { metadata = {}, deadlineMs }: { metadata?: Record<string, string>; deadlineMs?: number } = {},
): Promise<Response> =>
  new Promise((resolve, reject) => {
    const sent = new Metadata();
    for (const [key, value] of Object.entries(metadata)) sent.set(key, value);
    const options = deadlineMs === undefined ? {} : { deadline: Date.now() + deadlineMs };
    method.call(client, request, sent, options, (error, response) =>
      error === null ? resolve(response) : reject(error),
    );
  });

/** The error that a call ends with. */
export const failureOf = async (answer: Promise<unknown>): Promise<ServiceError> => {
  try {
    await answer;
  } catch (error) {
    return error as ServiceError; // grpc-js rejects with nothing else
  }
  throw new Error('the call succeeded');
};

/** What a client finds in the trailers of an error. */
export const richDetails = (error: ServiceError) => {
  const [bytes] = error.metadata.get('grpc-status-details-bin');
  if (!(bytes instanceof Buffer)) throw new Error(`no details with ${error.message}`);
  const sent = Status.decode(bytes);
  const find = (type: string) => sent.details.find(({ typeUrl }) => typeUrl.endsWith(`.${type}`))?.value;
  const info = find('ErrorInfo');
  const badRequest = find('BadRequest');
  const retry = find('RetryInfo');
  return {
    code: sent.code,
    message: sent.message,
    info: info && ErrorInfo.decode(info),
    violations: badRequest ? BadRequest.decode(badRequest).fieldViolations : [],
    retry: retry && RetryInfo.decode(retry),
  };
};

/** What is wrong with a request, by field; nothing else may be wrong with the call. */
export const violationsOf = async (answer: Promise<unknown>) => {
  const error = await failureOf(answer);
  expect(status[error.code]).toBe('INVALID_ARGUMENT');
  return Object.fromEntries(
    richDetails(error).violations.map(({ field, description }) => [field, description]),
  );
};
