import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Server, ServerCredentials, status } from '@grpc/grpc-js';
import { type GuestServiceServer, GuestServiceService } from '../../src/gen/guest/v1/guest.ts';
import { connectGuest } from '../../src/guest/grpc-guest.ts';
import type { Guest } from '../../src/guest/guest.ts';

export interface HostileGuest {
  readonly guest: Guest;
  stop(): Promise<void>;
}

/** A guest whose agent has been taken over: it speaks gRPC, and says what the test wants. */
export const startHostileGuest = async (behaviour: Partial<GuestServiceServer>): Promise<HostileGuest> => {
  const directory = await mkdtemp(join(tmpdir(), 'boxledger-hostile-'));
  const server = new Server({ 'grpc.max_send_message_length': -1 });
  const refuse = (_call: unknown, answer: (error: object) => void) => answer({ code: status.UNIMPLEMENTED });
  const nothing = { ping: refuse, shutdown: refuse, quiesce: refuse, thaw: refuse, upload: refuse };
  server.addService(GuestServiceService, { ...nothing, ...behaviour });
  const address = `unix:${directory}/agent.sock`;
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(address, ServerCredentials.createInsecure(), (error) =>
      error ? reject(error) : resolve(),
    );
  });
  const guest = connectGuest(address);
  const stop = async () => {
    guest.close();
    server.forceShutdown();
    await rm(directory, { recursive: true, force: true });
  };
  return { guest, stop };
};
