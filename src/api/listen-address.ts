import { once } from 'node:events';
import { createServer } from 'node:net';
import { BoxledgerError } from '../kernel/errors.ts';

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** As gRPC writes it: `127.0.0.1:7433`, `[::1]:7433`. */
export const addressText = ({ host, port }: ListenAddress): string =>
  `${host.includes(':') ? `[${host}]` : host}:${port}`;

export const cannotListen = (address: string, cause: Error): BoxledgerError =>
  new BoxledgerError('Unavailable', `The server cannot listen at ${address}: ${cause.message}`, {
    help: 'Stop what listens there, or choose another address; port 0 takes a free one.',
    details: { address },
    cause,
  });

/**
 * Throws what listening there would throw, and lets go of the address again: for whoever has much to do before he listens,
 * and should do none of it when that will be refused.
 */
export const tryToListen = async (at: ListenAddress): Promise<void> => {
  const probe = createServer();
  try {
    probe.listen({ ...at, exclusive: true });
    await once(probe, 'listening');
  } catch (error) {
    throw error instanceof Error ? cannotListen(addressText(at), error) : error;
  }
  probe.close();
  await once(probe, 'close');
};
