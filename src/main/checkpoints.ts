import { join } from 'node:path';
import type { Logger } from 'pino';
import { CheckpointMaker } from '../audit/checkpoint-maker.ts';
import type { CheckpointSink } from '../audit/checkpoint-sink.ts';
import { fileSink } from '../audit/file-sink.ts';
import { httpSink } from '../audit/http-sink.ts';
import { openKeyFile, readSigningKey } from '../audit/signing-key.ts';
import type { ServeOptions } from '../cli/serve-options.ts';
import type { Store } from '../store/store.ts';
import { crashProbeOf } from './crash-probe.ts';
import { systemClock } from './system-clock.ts';

export const checkpointSinks = (options: ServeOptions): readonly CheckpointSink[] =>
  options.checkpointSinks.map((sink) => (/^https?:/.test(sink) ? httpSink(sink) : fileSink(sink)));

/** Signs the log; closed after the plane, so that what that still had to write is signed as well. */
export const startCheckpoints = async (
  options: ServeOptions,
  store: Store,
  log: Logger,
): Promise<CheckpointMaker> => {
  const { checkpointKey, checkpointKeyFile, dataDir } = options;
  const key =
    checkpointKey === undefined
      ? await openKeyFile(checkpointKeyFile ?? join(dataDir, 'checkpoint-key.pem'))
      : readSigningKey(checkpointKey, 'BOXLEDGER_CHECKPOINT_KEY');
  log.debug({ keyId: key.keyId, publicKey: key.publicKeyHex }, 'the log is signed with this key');
  return CheckpointMaker.start({
    store: store.checkpoints,
    key,
    sinks: checkpointSinks(options),
    everyEvents: options.checkpointEveryEvents,
    everyMs: options.checkpointEveryMs,
    now: () => systemClock.now(),
    log,
    crash: crashProbeOf(process.env['BOXLEDGER_CRASH_AT']),
  });
};
