import type { ServiceDefinition, UntypedHandleCall } from '@grpc/grpc-js';
import type { BoxServiceService } from '../gen/boxledger/v1/box_service.ts';
import type { DiskServiceService } from '../gen/boxledger/v1/disk_service.ts';
import type { EventServiceService } from '../gen/boxledger/v1/event_service.ts';
import type { ExecServiceService } from '../gen/boxledger/v1/exec_service.ts';
import type { HistoryServiceService } from '../gen/boxledger/v1/history_service.ts';
import * as commands from './box-commands.ts';
import * as figures from './box-metrics.ts';
import * as reads from './box-reads.ts';
import { bidiStream, clientStream, type Service, serverStream, unary } from './calls.ts';
import { copyIn, copyOut } from './copy.ts';
import { clone } from './disk-clone.ts';
import { exportBox } from './disk-export.ts';
import { importBox } from './disk-import.ts';
import * as diskRequests from './disk-requests.ts';
import * as snapshots from './disk-snapshots.ts';
import { readAll, readStream } from './event-reads.ts';
import { exec } from './exec.ts';
import * as execs from './exec-calls.ts';
import * as execRequests from './exec-requests.ts';
import { explain } from './explain.ts';
import * as history from './history-reads.ts';
import * as historyRequests from './history-requests.ts';
import { tolerant } from './received.ts';
import * as requests from './requests.ts';
import { why } from './why.ts';

/** Which schema and which work answer each method. A method left out does not compile. */

export const boxHandlers = (service: Service) => {
  const { deps } = service;
  return {
    create: unary(service, requests.createSchema(deps.capacity), commands.create(deps)),
    get: unary(service, requests.getSchema, reads.get(deps)),
    list: unary(service, requests.listSchema, reads.list(deps)),
    start: unary(service, requests.startSchema, commands.start(deps)),
    stop: unary(service, requests.stopSchema, commands.stop(deps)),
    remove: unary(service, requests.removeSchema, commands.remove(deps)),
    pause: unary(service, requests.pauseSchema, commands.pause(deps)),
    resume: unary(service, requests.resumeSchema, commands.resume(deps)),
    restart: unary(service, requests.restartSchema, commands.restart(deps)),
    rename: unary(service, requests.renameSchema, commands.rename(deps)),
    wait: unary(service, requests.waitSchema, reads.wait(deps)),
    watch: serverStream(service, requests.watchSchema, reads.watch(deps)),
    exec: bidiStream(service, requests.execRequestSchema, exec(deps)),
    copyIn: clientStream(service, requests.copyInRequestSchema, copyIn(deps)),
    copyOut: serverStream(service, requests.copyOutSchema, copyOut(deps)),
    metrics: unary(service, requests.metricsSchema, figures.metrics(deps)),
    serviceMetrics: unary(service, requests.serviceMetricsSchema, figures.serviceMetrics(deps)),
    processes: unary(service, requests.processesSchema, figures.processes(deps)),
    console: serverStream(service, requests.consoleSchema, figures.boxConsole(deps)),
  } satisfies Handlers<typeof BoxServiceService>;
};

export const diskHandlers = (service: Service) => {
  const { deps } = service;
  return {
    createSnapshot: serverStream(service, diskRequests.createSnapshotSchema, snapshots.create(deps)),
    listSnapshots: unary(service, diskRequests.listSnapshotsSchema, snapshots.list(deps)),
    getSnapshot: unary(service, diskRequests.getSnapshotSchema, snapshots.get(deps)),
    removeSnapshot: unary(service, diskRequests.snapshotChangeSchema, snapshots.remove(deps)),
    restoreSnapshot: serverStream(service, diskRequests.snapshotChangeSchema, snapshots.restore(deps)),
    clone: serverStream(service, diskRequests.cloneRequestSchema, clone(deps)),
    export: serverStream(service, diskRequests.exportSchema, exportBox(deps)),
    import: clientStream(service, diskRequests.importRequestSchema(deps.capacity), importBox(deps)),
  } satisfies Handlers<typeof DiskServiceService>;
};

export const execHandlers = (service: Service) => {
  const { deps } = service;
  return {
    startExec: unary(service, execRequests.startExecSchema, execs.start(deps)),
    attachExec: bidiStream(service, execRequests.attachRequestSchema, execs.attach(deps)),
    getExec: unary(service, execRequests.execReferenceSchema, execs.get(deps)),
    waitExec: unary(service, execRequests.execReferenceSchema, execs.wait(deps)),
    listExecs: unary(service, execRequests.listExecsSchema, execs.list(deps)),
    signalExec: unary(service, execRequests.signalExecSchema, execs.signal(deps)),
  } satisfies Handlers<typeof ExecServiceService>;
};

export const eventHandlers = (service: Service) => {
  const { deps } = service;
  return {
    readStream: serverStream(service, requests.readStreamSchema, readStream(deps)),
    readAll: serverStream(service, requests.readAllSchema, readAll(deps)),
  } satisfies Handlers<typeof EventServiceService>;
};

export const historyHandlers = (service: Service) => {
  const { deps } = service;
  return {
    getAt: unary(service, historyRequests.getAtSchema, history.getAt(deps)),
    listAt: unary(service, historyRequests.listAtSchema, history.listAt(deps)),
    diff: unary(service, historyRequests.diffSchema, history.diff(deps)),
    why: unary(service, historyRequests.whySchema, why(deps)),
    explain: unary(service, historyRequests.explainSchema, explain(deps)),
  } satisfies Handlers<typeof HistoryServiceService>;
};

type Handlers<Definition> = { readonly [Method in keyof Definition]: UntypedHandleCall };

/** A generated service whose methods never fail to decode a request. */
export const tolerantMethods = (definition: ServiceDefinition): ServiceDefinition =>
  Object.fromEntries(Object.entries(definition).map(([name, method]) => [name, tolerant(method)]));
