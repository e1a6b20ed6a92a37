/** The oldest transaction under way that writes: what commits after it began cannot be read before it ends. */
export interface LogBlocker {
  /** Of the database connection; null for a transaction that was prepared and left alone. */
  readonly pid: number | null;
  /** What the connection calls itself, or the name of the prepared transaction. */
  readonly application: string;
  readonly database: string;
  readonly user: string;
  /** How long the transaction and its last statement have been under way; null where the role may not see it. */
  readonly transactionAgeMs: number | null;
  readonly queryAgeMs: number | null;
}

export interface LogLag {
  /** Age of the oldest event that is committed and cannot be read yet; 0 when there is none. */
  readonly lagMs: number;
  readonly blocker: LogBlocker | null;
}

/** How far what can be read of the log is behind what was appended. */
export interface LagMeter {
  lag(): Promise<LogLag>;
}
