/** The operating system's name for what went wrong (`ENOENT`), or another library's own code; undefined for any other error. */
export const errnoOf = (error: unknown): string | undefined =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
