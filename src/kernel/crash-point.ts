/** Places where a process may die that recovery has to be right for. Each has a test that kills the server there. */
export const crashPoints = [
  'append.before',
  'append.after',
  'enqueue.before',
  'enqueue.after',
  'claim.before',
  'claim.after',
  'effect.before',
  'boot.spawned',
  'shutdown.asked',
  'effect.after',
  'outcome.after',
] as const;

/** The same on the way of a checkpoint, which no command waits for. Their kind is `checkpoint`. */
export const checkpointCrashPoints = ['checkpoint.made', 'checkpoint.stored', 'checkpoint.sent'] as const;

/** The same while a part of the log leaves the database. Their kind is `archive`. */
export const archiveCrashPoints = [
  'archive.writing',
  'archive.written',
  'archive.verified',
  'archive.dropped',
] as const;

/** The same within an operation on a box's disk, in the order in which they are passed. */
export const diskCrashPoints = [
  'bracket.frozen',
  'bracket.paused',
  'bracket.copied',
  'bracket.resumed',
  'snapshot.done',
  'clone.some',
  'clone.all',
  'export.written',
  'restore.done',
] as const;

export type CrashPoint =
  | (typeof crashPoints)[number]
  | (typeof checkpointCrashPoints)[number]
  | (typeof archiveCrashPoints)[number]
  | (typeof diskCrashPoints)[number];

/** Called when a crash point is passed, with the effect's or command's kind. Does nothing outside the fault tests. */
export type CrashProbe = (point: CrashPoint, kind: string) => void;

export const noCrash: CrashProbe = () => undefined;
