import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { BoxledgerError } from '../kernel/errors.ts';
import { readIfThere, writeWhole } from '../os/files.ts';
import { type CheckpointSink, checkpointLine } from './checkpoint-sink.ts';

/** Keeps each checkpoint as a file of its own in a directory, which may be on another machine's disk. */
export const fileSink = (directory: string): CheckpointSink => ({
  name: `file:${directory}`,
  send: async (sequence, signed) => {
    await mkdir(directory, { recursive: true });
    const file = join(directory, `checkpoint-${String(sequence).padStart(10, '0')}.json`);
    const line = checkpointLine(signed);
    const there = await readIfThere(file);
    if (there === line) return;
    if (there !== undefined)
      throw new BoxledgerError('Conflict', `${file} holds another checkpoint ${sequence}`, {
        help: 'The log has been made anew behind what was signed, or the directory is another log’s.',
      });
    await writeWhole(file, line, { mode: 0o644, flush: true });
  },
});
