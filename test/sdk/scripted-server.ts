import { Metadata, Server, ServerCredentials, type ServiceError, status } from '@grpc/grpc-js';
import { BadRequest, ErrorInfo } from 'nice-grpc-error-details/lib/proto/google/rpc/error_details.js';
import { Status } from 'nice-grpc-error-details/lib/proto/google/rpc/status.js';
import { Box } from '../../src/gen/boxledger/v1/box.ts';
import { type BoxServiceServer, BoxServiceService } from '../../src/gen/boxledger/v1/box_service.ts';
import { type DiskServiceServer, DiskServiceService } from '../../src/gen/boxledger/v1/disk_service.ts';
import { Event } from '../../src/gen/boxledger/v1/event.ts';
import { type EventServiceServer, EventServiceService } from '../../src/gen/boxledger/v1/event_service.ts';
import { type ExecServiceServer, ExecServiceService } from '../../src/gen/boxledger/v1/exec_service.ts';
import {
  type HistoryServiceServer,
  HistoryServiceService,
} from '../../src/gen/boxledger/v1/history_service.ts';
import type { Refusal } from '../../src/kernel/errors.ts';

export interface ScriptedServer {
  readonly address: string;
  stop(): Promise<void>;
}

export type Script = Partial<
  BoxServiceServer & DiskServiceServer & ExecServiceServer & EventServiceServer & HistoryServiceServer
>;

/** A server of the real wire contract that answers as the test says; what it does not say is unimplemented. */
export const startServer = async (script: Script, address = '127.0.0.1:0'): Promise<ScriptedServer> => {
  const server = new Server();
  const methods = {
    ...BoxServiceService,
    ...DiskServiceService,
    ...ExecServiceService,
    ...EventServiceService,
    ...HistoryServiceService,
  };
  const missing = Object.keys(methods)
    .filter((name) => !(name in script))
    .map((name) => [name, unimplemented]);
  const implementation = { ...script, ...Object.fromEntries(missing) };
  server.addService(BoxServiceService, implementation as BoxServiceServer); // complete by the line above
  server.addService(DiskServiceService, implementation as DiskServiceServer);
  server.addService(ExecServiceService, implementation as ExecServiceServer);
  server.addService(EventServiceService, implementation as EventServiceServer);
  server.addService(HistoryServiceService, implementation as HistoryServiceServer);
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync(address, ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  );
  return {
    address: `127.0.0.1:${port}`,
    stop: async () => server.forceShutdown(),
  };
};

/** Called for unary and streaming methods alike: whichever way there is to fail the call is taken. */
const unimplemented = (
  call: { emit(event: string, error: unknown): void },
  callback?: (error: unknown) => void,
) => {
  const error = { code: status.UNIMPLEMENTED, details: 'not in the script' };
  if (callback === undefined) call.emit('error', error);
  else callback(error);
};

/** A refusal as the server puts it on the wire. */
export const wireRefusal = (code: status, refusal: Refusal): Partial<ServiceError> => {
  const metadata = new Metadata();
  const { help, faults = [], details } = refusal;
  const info = ErrorInfo.fromPartial({
    reason: refusal.code,
    domain: 'boxledger',
    metadata: {
      ...(help === undefined ? {} : { help }),
      ...Object.fromEntries(
        Object.entries(details ?? {}).map(([key, value]) => [key, JSON.stringify(value)]),
      ),
    },
  });
  const request = BadRequest.fromPartial({
    fieldViolations: faults.map(({ field, problem }) => ({ field, description: problem })),
  });
  const wireDetails = [
    { typeUrl: `type.googleapis.com/${ErrorInfo.$type}`, value: ErrorInfo.encode(info).finish() },
    { typeUrl: `type.googleapis.com/${BadRequest.$type}`, value: BadRequest.encode(request).finish() },
  ];
  const rich = Status.encode(
    Status.fromPartial({ code, message: refusal.message, details: wireDetails }),
  ).finish();
  metadata.set('grpc-status-details-bin', Buffer.from(rich));
  return { code, details: refusal.message, metadata };
};

export const aBox = (fields: Partial<Box> = {}): Box =>
  Box.fromPartial({
    boxId: 'bx_0123456789abcdef',
    tenant: 'default',
    name: 'web',
    state: 'running',
    health: 'none',
    version: 3n,
    generation: 1,
    options: { cpus: 1, memoryMib: 512, env: {}, labels: {}, network: 'none', autoStart: true },
    createdAt: new Date('2026-11-25T12:00:00.000Z'),
    ...fields,
  });

export const anEvent = (fields: Partial<Event> = {}): Event =>
  Event.fromPartial({
    streamId: 'box/bx_0123456789abcdef',
    version: 1n,
    position: 7n,
    type: 'box.created',
    schemaVersion: 1,
    dataJson: '{"name":"web"}',
    tenant: 'default',
    actor: { kind: 'user', id: 'ann' },
    commandId: 'cmd-1',
    correlationId: 'cor-1',
    occurredAt: new Date('2026-11-25T12:00:00.000Z'),
    hash: 'ab'.repeat(32),
    cursor: 'c1',
    ...fields,
  });
