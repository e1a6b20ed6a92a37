/**
 * Every bound on what a caller may ask for, and the times and sizes that the service itself keeps to with boxes, by name. Units are in the names; "bytes" of text are bytes of UTF-8.
 */
export const limits = {
  boxNameMaxBytes: 63,
  actorMaxBytes: 256,
  reasonMaxBytes: 1024,
  commandIdMaxBytes: 128,
  pathMaxBytes: 4096,
  fileNameMaxBytes: 255,

  cpusMin: 0.01,
  cpusMax: 256,
  memoryMibMin: 16,
  memoryMibMax: 1_048_576,

  envEntriesMax: 256,
  envKeyMaxBytes: 256,
  envValueMaxBytes: 32_768,
  envTotalMaxBytes: 131_072,
  labelsMax: 64,
  labelKeyMaxBytes: 128,
  labelValueMaxBytes: 256,

  snapshotNameMaxBytes: 255,
  /** Of one box. */
  snapshotsMax: 128,
  /** Made by one call. */
  clonesMax: 64,

  healthCommandMax: 64,
  probeIntervalMs: 30_000,
  probeTimeoutMs: 10_000,
  /** What a request may ask for. Logs may hold more, up to `timerMaxMs`. */
  probeIntervalMaxMs: 24 * 60 * 60 * 1000,
  probeTimeoutMaxMs: 24 * 60 * 60 * 1000,
  probeRetries: 3,
  probeStartPeriodMs: 60_000,
  /** What is kept of the last output of a health check that failed. */
  probeOutputBytes: 1024,
  /** Shortest interval and time limit of a health probe, and shortest limit of idle time, lifetime or a pause. */
  timerMinMs: 100,
  timerMaxMs: 365 * 24 * 60 * 60 * 1000,
  restartsMax: 1_000_000,

  execArgsMax: 4096,
  execArgsTotalMaxBytes: 1_048_576,
  userMaxBytes: 256,
  execTimeoutMaxMs: 7 * 24 * 60 * 60 * 1000,

  /** Of one copy: what is made of its archive, implied directories included, and the content of all its files. */
  copyEntriesMax: 250_000,
  copyBytesMax: 1024 ** 4,

  pageSizeDefault: 100,
  pageSizeMax: 1000,
  /** How long a call waits for a box when its caller names no deadline. */
  callWaitMs: 10 * 60 * 1000,
  /** What an error may weigh in HTTP/2 trailers: some clients refuse more than 8 KiB of them in all. */
  errorMessageMaxBytes: 1024,
  errorDetailsMaxBytes: 4 * 1024,
  messageMaxBytes: 4 * 1024 * 1024,
  dataChunkBytes: 64 * 1024,
  /** Standard input of one exec that may be on its way to a program that has not taken it. */
  stdinWindowBytes: 256 * 1024,
  /** Output of one exec that is kept for who attaches again. */
  execBacklogBytes: 256 * 1024,

  bootTimeoutMs: 30_000,
  shutdownGuestTimeoutMs: 10_000,
  shutdownTermTimeoutMs: 2_000,
  execStartTimeoutMs: 30_000,
  freezeTimeoutMs: 5_000,
  thawTimeoutMs: 5_000,
  diskRemoveTimeoutMs: 60_000,
  /** Longest time that a caller may give a box to shut down by itself. */
  stopTimeoutMaxMs: 60 * 60 * 1000,
  /** What an effect's deadline allows on top of the work itself: waiting in the queue, and clearing up after a failure. */
  effectMarginMs: 60_000,
  /** Longest time that a snapshot, restore, clone or export may take. */
  diskOperationTimeoutMs: 60 * 60 * 1000,
  /** Pause before a box that ended is started again by its restart policy: the first, doubling up to the last. */
  restartFirstDelayMs: 1_000,
  restartMaxDelayMs: 60_000,
  /** A box that was up for so long begins with the first pause again. */
  restartResetAfterMs: 5 * 60 * 1000,
  /** Pause before an effect is asked for again after a failure: the first, doubling up to the last. */
  retryFirstDelayMs: 1_000,
  retryMaxDelayMs: 60_000,
  consoleTailBytes: 8 * 1024,

  /** What an import takes at most, whatever the archive declares. */
  boxArchiveEntriesMax: 1_000_000,
  boxArchiveDiskBytesMax: 64 * 1024 * 1024 * 1024,
  boxArchiveManifestMaxBytes: 1024 * 1024,
  /** About so many events are in one partition of the log, unless it is served otherwise: some hundred megabytes. */
  partitionEvents: 1_000_000,
  /** All that is kept of a box's console. */
  consoleMaxBytes: 1024 * 1024,
} as const;

/** Bytes of UTF-8 in `text`, without a platform encoder. */
export const utf8Bytes = (text: string): number => {
  let bytes = 0;
  for (const character of text) {
    const point = character.codePointAt(0) ?? 0;
    bytes += point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
  }
  return bytes;
};
