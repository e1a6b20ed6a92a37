/*
 * The program inside a box. It is bundled into one file that needs Node 20 and nothing else, and it assumes nothing of
 * the box: not root, not /proc, no program but those it finds. Started as `node agent.cjs --socket PATH`; in a machine
 * of its own, as root and with `--port NAME`, the name of the virtio port by which its host comes.
 */
import { dirname } from 'node:path';
import type { Duplex } from 'node:stream';
import { parseArgs } from 'node:util';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { GuestServiceService } from '../gen/guest/v1/guest.ts';
import { limits } from '../kernel/limits.ts';
import { clearLeftovers } from '../tar/copy-journal.ts';
import { readEnvironment } from './environment.ts';
import { ExecCalls } from './exec-calls.ts';
import { flush } from './flush.ts';
import { createGuestService } from './guest-service.ts';
import { Machine } from './machine.ts';
import { ProcessGroups } from './process-groups.ts';
import { flushOnly, Quiescence } from './quiescence.ts';
import { Shutdown } from './shutdown.ts';
import { listenOnUnixSocket } from './unix-socket.ts';

/** A flush writes out all of a file system, so on a busy one it may take long; what asks for it has a deadline. */
const flushTimeoutMs = 1_000;
/** What programs have when the agent is told to end by a signal: less than a driver waits before it kills. */
const signalGraceMs = 1_000;
/** For answers that are still on their way when the end has come. */
const lastAnswersMs = 200;
const lastAnswersOfMachineMs = 1_000;

const main = async () => {
  const options = { socket: { type: 'string' }, port: { type: 'string' } } as const;
  const { socket, port } = parseArgs({ options }).values;
  if ((socket === undefined) === (port === undefined))
    throw new Error('usage: agent --socket PATH, or in a machine of its own --port NAME');

  const environment = readEnvironment(process.env);
  const groups = new ProcessGroups();
  const flushHome = () => flush(environment.home, flushTimeoutMs);
  const machine = port === undefined ? undefined : new Machine(dirname(process.argv[1] ?? ''));
  const quiescence = new Quiescence(machine ?? flushOnly(flushHome));
  const shutdown = new Shutdown(groups, quiescence, flushHome);
  const execs = new ExecCalls(environment, groups, shutdown);

  const server = new Server({
    'grpc.max_receive_message_length': limits.messageMaxBytes,
    'grpc.max_send_message_length': limits.messageMaxBytes,
  });
  const guestPort =
    port === undefined ? undefined : new (await import('./virtio-port.ts')).GuestPort(port, accept(server));
  const end = () => (machine === undefined ? process.exit(0) : machine.end());
  const ended = () => {
    server.tryShutdown(() => void (guestPort?.flushed() ?? Promise.resolve()).then(end));
    setTimeout(end, machine === undefined ? lastAnswersMs : lastAnswersOfMachineMs);
  };
  server.addService(
    GuestServiceService,
    createGuestService({ environment, execs, quiescence, shutdown, machine, ended }),
  );
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.on(signal, () => void shutdown.end(signalGraceMs).then(ended));
  // An agent that died as it held the file system leaves it so, and nothing could be written for ever.
  await quiescence
    .thaw()
    .catch((error: unknown) => console.error('the file system could not be thawed:', error));
  await clearLeftovers(environment.home).catch((error: unknown) =>
    console.error('what an earlier agent left of copies is still there:', error),
  );
  if (socket !== undefined) await listenOnUnixSocket(server, socket);
  await guestPort?.serve();
};

/** Lets the server serve a stream as any connection. */
const accept = (server: Server) => {
  const { injectConnection } = server.createConnectionInjector(ServerCredentials.createInsecure());
  return (stream: Duplex) => injectConnection(stream);
};

main().catch((error: unknown) => {
  console.error(`boxledger agent: ${error instanceof Error ? error.message : error}`);
  process.exit(1);
});
