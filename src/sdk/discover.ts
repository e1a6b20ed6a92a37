import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { BoxledgerError } from '../kernel/errors.ts';
import type { ConnectOptions } from './channel.ts';
import { actorPattern, systemUser } from './system-user.ts';
import { unreachableHelp } from './wire-error.ts';

export const defaultDataDir = '.boxledger';

/** Where a client was told to look; what is unset is taken from the environment. */
export interface DiscoverOptions {
  /** HOST:PORT; else BOXLEDGER_ADDR, else what `server.json` in the data dir says. */
  readonly address?: string | undefined;
  /** Else BOXLEDGER_DATA_DIR, else `./.boxledger`. */
  readonly dataDir?: string | undefined;
  /** File that holds the bearer token; else BOXLEDGER_TOKEN_FILE. */
  readonly tokenFile?: string | undefined;
  /** Else BOXLEDGER_ACTOR, else the name of the user who runs this. */
  readonly actor?: string | undefined;
  readonly env: NodeJS.ProcessEnv;
  /** Directory that relative paths are taken from; the process's own when unset. */
  readonly workingDir?: string | undefined;
}

/** Finds the server and the caller's credentials. Throws `BoxledgerError` that says what to do. */
export const discoverServer = async ({
  env,
  workingDir = '.',
  ...given
}: DiscoverOptions): Promise<ConnectOptions> => {
  const told = given.address ?? nonEmpty(env['BOXLEDGER_ADDR']);
  const dataDir = given.dataDir ?? nonEmpty(env['BOXLEDGER_DATA_DIR']) ?? defaultDataDir;
  const tokenFile = given.tokenFile ?? nonEmpty(env['BOXLEDGER_TOKEN_FILE']);
  const address = told === undefined ? await addressIn(resolve(workingDir, dataDir)) : checkedAddress(told);
  return {
    address,
    token: tokenFile === undefined ? undefined : await tokenIn(resolve(workingDir, tokenFile)),
    actor: checkedActor(given.actor ?? nonEmpty(env['BOXLEDGER_ACTOR'])) ?? systemUser(),
  };
};

/** `serve` writes `{"grpc":"HOST:PORT","pid":…}` into its data dir once it can serve. */
const addressIn = async (dataDir: string): Promise<string> => {
  const path = join(dataDir, 'server.json');
  const help = unreachableHelp;
  const text = await readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    const problem = cause.code === 'ENOENT' ? 'does not exist' : `cannot be read (${cause.code})`;
    throw new BoxledgerError('Unavailable', `no server found: ${path} ${problem}`, { help, cause });
  });
  const address = grpcAddress(text);
  if (address === undefined)
    throw new BoxledgerError('Unavailable', `no server found: ${path} names no address`, { help });
  return address;
};

const grpcAddress = (text: string): string | undefined => {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || !('grpc' in value)) return undefined;
    return typeof value.grpc === 'string' && addressPattern.test(value.grpc) ? value.grpc : undefined;
  } catch {
    return undefined; // half-written: the caller says so
  }
};

const addressPattern = /^(\[[0-9a-fA-F:.]+\]|[^:/\s]+):\d{1,5}$/;

const checkedAddress = (address: string): string => {
  if (addressPattern.test(address)) return address;
  const problem = `must be HOST:PORT, not ${JSON.stringify(address)}`;
  throw new BoxledgerError('InvalidArgument', `addr: ${problem}`, {
    help: 'Give the server as in --addr 127.0.0.1:7433.',
    faults: [{ field: 'addr', problem }],
  });
};

const tokenIn = async (path: string): Promise<string> => {
  const text = await readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw tokenFault(path, `cannot be read (${cause.code})`, cause);
  });
  const token = text.trim();
  if (!/^[\x21-\x7e]+$/.test(token)) throw tokenFault(path, 'must hold one token of printable ASCII');
  return token;
};

const tokenFault = (path: string, problem: string, cause?: unknown) =>
  new BoxledgerError('InvalidArgument', `token file ${path}: ${problem}`, {
    help: 'Name the file that the server was given as --token-file.',
    faults: [{ field: 'tokenFile', problem }],
    cause,
  });

const checkedActor = (actor: string | undefined): string | undefined => {
  if (actor === undefined || actorPattern.test(actor)) return actor;
  const problem = 'must be 1 to 256 printable ASCII characters';
  throw new BoxledgerError('InvalidArgument', `actor: ${problem}`, { faults: [{ field: 'actor', problem }] });
};

const nonEmpty = (text: string | undefined) => (text === '' ? undefined : text);
