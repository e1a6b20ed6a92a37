import type pg from 'pg';
import { z } from 'zod';
import type { SignedCheckpoint } from '../audit/checkpoint.ts';
import type { CheckpointStore, MakingSession, NewCheckpoint, SinkState } from '../audit/checkpoint-store.ts';
import type { LeafEntry } from '../audit/leaf.ts';
import type { Place } from '../audit/place.ts';
import { advisoryLocks } from './advisory-locks.ts';
import { type Database, inTransaction } from './database.ts';
import { databaseError } from './database-errors.ts';
import { statement } from './statement.ts';

const lastCheckpoint = statement('last-checkpoint');
const leavesAfter = statement('leaves-after');
const insertCheckpoint = statement('insert-checkpoint');
const insertKey = statement('insert-checkpoint-key');
const checkpointsFrom = statement('checkpoints-from');
const readEnd = statement('read-end');
const sinkStates = statement('sink-states');
const noteSent = statement('note-sent');
const noteSinkFailure = statement('note-sink-failure');

const signedRow = z.object({ body: z.string(), signature: z.string() });
const leafRows = z.array(z.object({ transaction_id: z.string(), position: z.string(), hash: z.string() }));
const endRow = z.object({ transaction_id: z.string(), position: z.string() });
const sinkRow = z.object({
  sink: z.string(),
  sent_sequence: z.int(),
  failing_since: z.date().nullable(),
  last_error: z.string().nullable(),
});

export const parseSinkState = (row: unknown): SinkState => {
  const { sink, sent_sequence, failing_since, last_error } = sinkRow.parse(row);
  return { sink, sentSequence: sent_sequence, failingSince: failing_since, lastError: last_error };
};

export class PostgresCheckpoints implements CheckpointStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async addKey(keyId: string, publicKeyHex: string): Promise<void> {
    await this.#database.query(insertKey, [keyId, publicKeyHex]);
  }

  /** A transaction that reads holds nobody back: it has an id only from its first write on, which is its last statement. */
  async exclusively<Result>(work: (session: MakingSession) => Promise<Result>): Promise<Result | undefined> {
    const client = await this.#database.pool.connect().catch((error) => {
      throw databaseError(error);
    });
    let broken: Error | undefined;
    try {
      return await inTransaction(client, async () => {
        const { rows } = await client.query('SELECT pg_try_advisory_xact_lock($1) AS locked', [
          advisoryLocks.checkpoints,
        ]);
        return rows[0]?.locked === true ? await work(new Session(client)) : undefined;
      });
    } catch (error) {
      broken = error instanceof Error ? error : new Error(String(error));
      throw databaseError(error);
    } finally {
      client.release(broken);
    }
  }

  async last(): Promise<SignedCheckpoint | undefined> {
    const [row] = await this.#database.query(lastCheckpoint, []);
    return row === undefined ? undefined : signedRow.parse(row);
  }

  async end(): Promise<Place | undefined> {
    const [row] = await this.#database.query(readEnd, []);
    if (row === undefined) return undefined;
    const { transaction_id: transactionId, position } = endRow.parse(row);
    return { transactionId, position };
  }

  async from(sequence: number, limit: number): Promise<readonly SignedCheckpoint[]> {
    return z.array(signedRow).parse(await this.#database.query(checkpointsFrom, [sequence, limit]));
  }

  async sinks(): Promise<readonly SinkState[]> {
    return (await this.#database.query(sinkStates, [])).map(parseSinkState);
  }

  async noteSent(sink: string, sequence: number): Promise<void> {
    await this.#database.query(noteSent, [sink, sequence]);
  }

  async noteFailure(sink: string, error: string): Promise<void> {
    await this.#database.query(noteSinkFailure, [sink, error]);
  }
}

class Session implements MakingSession {
  readonly #client: pg.ClientBase;

  constructor(client: pg.ClientBase) {
    this.#client = client;
  }

  async last(): Promise<SignedCheckpoint | undefined> {
    const { rows } = await this.#client.query({ ...lastCheckpoint });
    return rows[0] === undefined ? undefined : signedRow.parse(rows[0]);
  }

  async leavesAfter(
    { transactionId, position }: Place,
    limit: number,
    first: LeafEntry | undefined,
  ): Promise<readonly LeafEntry[]> {
    const values = [transactionId, position, limit, first?.transactionId ?? null];
    const { rows } = await this.#client.query({ ...leavesAfter, values });
    return leafRows
      .parse(rows)
      .map(({ transaction_id, ...row }) => ({ transactionId: transaction_id, ...row }));
  }

  async add({ sequence, to, keyId, signed, leafInputs }: NewCheckpoint): Promise<void> {
    const { body, signature } = signed;
    const values = [sequence, body, signature, keyId, to.transactionId, to.position, leafInputs];
    await this.#client.query({ ...insertCheckpoint, values });
  }
}
