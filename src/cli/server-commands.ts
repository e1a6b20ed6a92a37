import type { AuditSource } from '../audit/audit-source.ts';
import type { ServeOptions } from './serve-options.ts';

/** The commands that are not a client's: whoever composes the server brings them. Failures are thrown. */
export interface ServerCommands {
  /** Serves until the signal fires, then ends in good order and resolves. `ready` is called once it can serve. */
  serve(options: ServeOptions, signal: AbortSignal, ready: (server: ReadyServer) => void): Promise<void>;
  /** Brings the database's schema up to date; resolves with the migrations applied now, in order. */
  migrate(options: ServeOptions, signal: AbortSignal): Promise<readonly string[]>;
  /** Looks at the machine and the configuration, changing nothing. */
  doctor(options: ServeOptions, signal: AbortSignal): Promise<readonly Finding[]>;
  /** Opens the log past any server; to be closed. */
  audit(options: ServeOptions): Promise<AuditSource>;
}

export interface ReadyServer {
  /** HOST:PORT that it listens on. */
  readonly grpc: string;
  readonly dataDir: string;
}

/** What doctor says of one thing. `help`: what to do about it. */
export interface Finding {
  readonly name: string;
  readonly status: 'ok' | 'warning' | 'failure';
  readonly detail: string;
  readonly help?: string | undefined;
}
