import type { KeyObject } from 'node:crypto';
import pg from 'pg';
import { type ArchiveRecord, archivedError } from '../audit/archive-record.ts';
import type { AuditSource, AuditStatus } from '../audit/audit-source.ts';
import { readCheckpoint, type SignedCheckpoint } from '../audit/checkpoint.ts';
import type { ExportKey } from '../audit/export-lines.ts';
import type { AuditedEvent, Evidence, LogPart, StrayHead, StreamEnd } from '../audit/log-parts.ts';
import type { Place } from '../audit/place.ts';
import { beginning } from '../audit/place.ts';
import { placeCheckpoints } from '../audit/place-checkpoints.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import { boxIdPattern, streamIdPattern } from '../kernel/ids.ts';
import { archiveRecord, asText, auditedEvent, publicKey, type TextRow, textSettings } from './audit-rows.ts';
import { connectionConfig } from './database.ts';
import { databaseError } from './database-errors.ts';
import { parseSinkState } from './postgres-checkpoints.ts';
import { type Statement, statement } from './statement.ts';

const allEvents = statement('audit-events');
const eventsAfter = statement('audit-events-after');
const archiveRows = statement('audit-archives');
const archivedStreams = statement('audit-archived-streams');
const archivedStream = statement('archived-stream');
const eventsBetween = statement('audit-between');
const eventsOfStream = statement('audit-stream');
const strayHeads = statement('audit-stray-heads');
const headEnds = statement('audit-head-ends');
const places = statement('audit-places');
const leafInputs = statement('audit-leaf-inputs');
const keyRows = statement('audit-keys');
const checkpointsFrom = statement('checkpoints-from');
const checkpointOfPlace = statement('checkpoint-of-place');
const estimate = statement('audit-estimate');
const findBoxes = statement('audit-find-boxes');
const countAfter = statement('audit-count-after');
const lastCheckpoint = statement('last-checkpoint');
const sinkStates = statement('sink-states');

const eventsPage = 1_000;
/** Of a page, so many are made into events before they are looked at: garbage that is young is cheap. */
const eventsAtOnce = 100;
const checkpointsPage = 200;
const strayHeadsMax = 1_000;

/**
 * The log of one moment, read past the program: one read-only snapshot, so that what is appended meanwhile neither shows
 * nor waits. It has no transaction id, so it holds no reader back.
 */
export class PostgresAuditLog implements AuditSource {
  readonly fromSequence = 1;
  readonly toSequence = null;
  readonly evidence: Evidence;
  readonly #client: pg.Client;
  readonly #afterClose: () => Promise<void>;
  #expected = 0;
  #read = 0;

  private constructor(client: pg.Client, afterClose: () => Promise<void>) {
    this.#client = client;
    this.#afterClose = afterClose;
    this.evidence = evidenceIn(this);
  }

  /** `afterClose` ends what the database itself needs. */
  static async open(
    databaseUrl: string,
    afterClose: () => Promise<void> = async () => undefined,
  ): Promise<PostgresAuditLog> {
    const client = new pg.Client({
      ...connectionConfig(databaseUrl),
      // A pass may take as long as it takes, and whoever reads it be as slow as he is.
      statement_timeout: 0,
      query_timeout: 0,
      idle_in_transaction_session_timeout: 0,
    });
    client.on('error', () => undefined); // the query under way fails with it
    const log = new PostgresAuditLog(client, afterClose);
    try {
      await client.connect();
      await client.query(`${textSettings}; BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY`);
      await log.#checkSchema();
      const [row] = await log.rows(estimate, []);
      log.#expected = Number(row?.['events']);
      return log;
    } catch (error) {
      await client.end();
      throw databaseError(error);
    }
  }

  async close(): Promise<void> {
    await this.#client.end();
    await this.#afterClose();
  }

  async #checkSchema(): Promise<void> {
    try {
      // Before the snapshot is taken: a partition that is dropped is gone for every snapshot, whatever it says of archives.
      await this.#client.query('LOCK TABLE boxledger.events IN ACCESS SHARE MODE');
      await this.#client.query('SELECT FROM boxledger.archives LIMIT 1');
    } catch (cause) {
      const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
      if (code !== '42P01' && code !== '3F000') throw cause; // no such table, no such schema
      throw new BoxledgerError('InvalidState', 'the database holds no log, or one older than archives', {
        help: 'Give the database that the server uses; `boxledger migrate` brings an older one up to date.',
        cause,
      });
    }
  }

  share(): number {
    return this.#expected === 0 ? 1 : Math.min(1, this.#read / this.#expected);
  }

  async keys(): Promise<readonly KeyObject[]> {
    return (await this.keyList()).map((key) => publicKey(key.publicKey));
  }

  async keyList(): Promise<readonly ExportKey[]> {
    return (await this.rows(keyRows, [])).map((row) => ({
      keyId: String(row['key_id']),
      publicKey: String(row['public_key']),
      firstSequence: row['first_sequence'] as number | null, // integer columns
      lastSequence: row['last_sequence'] as number | null,
    }));
  }

  parts(): AsyncIterable<LogPart> {
    return placeCheckpoints(this.events(), this.checkpoints());
  }

  /** The next page is under way while this one is looked at. */
  async *events(after?: Place): AsyncGenerator<readonly AuditedEvent[]> {
    this.#read = 0;
    const { text } = after === undefined ? allEvents : eventsAfter;
    await this.rows(
      { name: 'audit-events', text: `DECLARE audit_events NO SCROLL CURSOR FOR ${text}` },
      after === undefined ? [] : [after.transactionId, after.position],
    );
    try {
      const fetch = () => this.#textRows({ text: `FETCH ${eventsPage} FROM audit_events` });
      for (let next = fetch(); ; ) {
        const rows = await next;
        if (rows.length === 0) return;
        next = fetch();
        next.catch(() => undefined); // heard when it is awaited
        this.#read += rows.length;
        for (let at = 0; at < rows.length; at += eventsAtOnce)
          yield rows.slice(at, at + eventsAtOnce).map((row) => auditedEvent(row));
      }
    } finally {
      await this.rows({ name: 'audit-events', text: 'CLOSE audit_events' }, []);
    }
  }

  async *checkpoints(from = 1): AsyncGenerator<SignedCheckpoint> {
    for (let next = from; ; ) {
      const rows = await this.rows(checkpointsFrom, [next, checkpointsPage]);
      for (const { body, signature } of rows) yield { body: String(body), signature: String(signature) };
      if (rows.length < checkpointsPage) return;
      const last = readCheckpoint(String(rows.at(-1)?.['body']));
      next = typeof last === 'string' ? next + checkpointsPage : last.sequence + 1;
    }
  }

  /** Events after a place up to another one, in global order. */
  async *between(after: Place, to: Place): AsyncGenerator<readonly AuditedEvent[]> {
    for (let last: Place = after; ; ) {
      const values = [last.transactionId, last.position, to.transactionId, to.position, eventsPage];
      const rows = await this.#textRows({ text: eventsBetween.text, values });
      const events = rows.map((row) => auditedEvent(row));
      if (events.length > 0) yield events;
      if (rows.length < eventsPage) return;
      last = events.at(-1) ?? to;
    }
  }

  /** Events of one stream above a version, oldest first. */
  async *stream(streamId: string, afterVersion = '0'): AsyncGenerator<readonly AuditedEvent[]> {
    for (let after = afterVersion; ; ) {
      const rows = await this.#textRows({
        text: eventsOfStream.text,
        values: [streamId, after, eventsPage],
      });
      const events = rows.map((row) => auditedEvent(row));
      if (events.length > 0) yield events;
      if (events.length === 0) await this.#refuseArchived(streamId, after);
      if (rows.length < eventsPage) return;
      after = events.at(-1)?.version ?? after;
    }
  }

  async #refuseArchived(streamId: string, after: string): Promise<void> {
    const [row] = await this.rows(archivedStream, [streamId, after]);
    if (row !== undefined) throw archivedError(streamId, String(row['file']));
  }

  async archives(): Promise<readonly ArchiveRecord[]> {
    return (await this.rows(archiveRows, [])).map(archiveRecord);
  }

  async archivedStreams(streamIds: readonly string[]): Promise<ReadonlySet<string>> {
    return new Set((await this.rows(archivedStreams, [streamIds])).map((row) => String(row['stream_id'])));
  }

  /** The checkpoint that covers a place, and the leaves it was made of; undefined when none does yet. */
  async checkpointOf({ transactionId, position }: Place) {
    const [row] = await this.rows(checkpointOfPlace, [transactionId, position]);
    return row === undefined
      ? undefined
      : {
          signed: { body: String(row['body']), signature: String(row['signature']) },
          leafInputs: row['leaf_inputs'] as Buffer, // a bytea column
        };
  }

  async strayHeadsOf(streamId: string): Promise<readonly StrayHead[]> {
    return (await this.rows(strayHeads, [strayHeadsMax, streamId])).map(strayHead);
  }

  async findStream(name: string): Promise<string> {
    if (streamIdPattern.test(name)) return name;
    if (boxIdPattern.test(name)) return `box/${name}`;
    const found = await this.rows(findBoxes, [name]);
    const [first, second] = found.map((row) => String(row['box_id']));
    if (first === undefined) throw new BoxledgerError('NotFound', `There is no box ${name}.`);
    if (second === undefined) return `box/${first}`;
    throw new BoxledgerError('Conflict', `${name} is the name of more than one box.`, {
      help: `Give one by its id, such as ${first}.`,
    });
  }

  async status(): Promise<AuditStatus> {
    const [last] = await this.rows(lastCheckpoint, []);
    const checkpoint = last && readCheckpoint(String(last['body']));
    const { transactionId, position } = typeof checkpoint === 'object' ? checkpoint.to : beginning;
    const [count] = await this.rows(countAfter, [transactionId, position]);
    return {
      last: last && { body: String(last['body']), signature: String(last['signature']) },
      unsealed: Number(count?.['count']),
      sinks: (await this.rows(sinkStates, [])).map(parseSinkState),
    };
  }

  async rows({ text }: Statement, values: readonly unknown[]): Promise<Record<string, unknown>[]> {
    try {
      return (await this.#client.query<Record<string, unknown>>(text, [...values])).rows;
    } catch (error) {
      throw databaseError(error);
    }
  }

  async #textRows(query: { text: string; values?: unknown[] }): Promise<readonly TextRow[]> {
    try {
      return (await this.#client.query<(string | null)[]>({ ...query, rowMode: 'array', types: asText }))
        .rows;
    } catch (error) {
      throw databaseError(error);
    }
  }
}

const evidenceIn = (log: PostgresAuditLog): Evidence => ({
  leafInputs: async (sequence) => {
    const [row] = await log.rows(leafInputs, [sequence]);
    return row?.['leaf_inputs'] as Buffer | undefined; // a bytea column
  },
  between: (after, to) => log.between(after, to),
  headsWith: async (hashes) => (await log.rows(headEnds, [hashes])).map(streamEnd),
  strayHeads: async () => (await log.rows(strayHeads, [strayHeadsMax, null])).map(strayHead),
  eventsWith: async (hashes) =>
    (await log.rows(places, [hashes])).map((row) => ({
      ...streamEnd(row),
      transactionId: String(row['transaction_id']),
      position: String(row['position']),
    })),
});

const strayHead = (row: Record<string, unknown>): StrayHead => ({
  head: streamEnd(row),
  lastVersion: String(row['last_version']),
  lastHash: row['last_hash'] === null ? null : String(row['last_hash']),
});

const streamEnd = (row: Record<string, unknown>): StreamEnd => ({
  streamId: String(row['stream_id']),
  version: String(row['version']),
  hash: String(row['hash']),
});
