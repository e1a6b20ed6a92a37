import { createHash, timingSafeEqual } from 'node:crypto';
import { type Metadata, ServerInterceptingCall, type ServerInterceptor } from '@grpc/grpc-js';
import type { Logger } from 'pino';
import { BoxledgerError } from '../kernel/errors.ts';
import { toStatus } from './status.ts';

/** Health is asked by things that hold no token. */
const open = '/grpc.health.v1.Health/';

/** Lets a call in only with `authorization: Bearer <token>`: one place for every service, reflection included. */
export const authenticated = (token: string, logger: Logger): ServerInterceptor => {
  const expected = digest(`Bearer ${token}`);
  return (method, call) =>
    new ServerInterceptingCall(call, {
      start: (next) =>
        next({
          onReceiveMetadata: (metadata, proceed) => {
            if (method.path.startsWith(open) || matches(metadata, expected)) proceed(metadata);
            else call.sendStatus(toStatus(refusal(metadata), logger));
          },
        }),
    });
};

/** Digests are compared, so that neither the content nor the length of the token shows in the time it takes. */
const matches = (metadata: Metadata, expected: Buffer): boolean => {
  const [given] = metadata.get('authorization');
  return timingSafeEqual(digest(given === undefined ? '' : given.toString()), expected);
};

const digest = (text: string) => createHash('sha256').update(text).digest();

const refusal = (metadata: Metadata) =>
  new BoxledgerError(
    'Unauthenticated',
    metadata.get('authorization').length === 0
      ? 'The call carries no token.'
      : 'The token is not the right one.',
    {
      help:
        'The server was given a token: name its file by --token-file or BOXLEDGER_TOKEN_FILE; ' +
        'programs send the metadata "authorization: Bearer <token>".',
    },
  );
