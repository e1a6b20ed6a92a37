import type { CommandMeta } from '../commands/door.ts';
import type { BoxRecord } from '../commands/event-store.ts';
import type { CopyCommand } from '../events/commands.ts';
import { failureOf } from '../events/failure.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import {
  type CommandId,
  type CopyId,
  commandId,
  copyStream,
  noVersion,
  type StreamId,
} from '../kernel/ids.ts';
import type { ApiDeps } from './api-deps.ts';
import { submit } from './box-access.ts';
import { insisted } from './insist.ts';

type Completed = Extract<CopyCommand, { type: 'copy.reportCompleted' }>;
export type CopyTotals = Pick<Completed, 'entries' | 'bytes' | 'sha256' | 'durationMs'>;

/** One copy that is under way, and how its end comes into the log. */
export class CopyRecord {
  readonly copyId: CopyId;
  readonly #deps: ApiDeps;
  readonly #meta: Omit<CommandMeta, 'commandId'>;
  readonly #where: Pick<Completed, 'direction' | 'path'>;
  readonly #begun = performance.now();

  constructor(
    deps: ApiDeps,
    copyId: CopyId,
    meta: Omit<CommandMeta, 'commandId'>,
    where: Pick<Completed, 'direction' | 'path'>,
  ) {
    this.#deps = deps;
    this.copyId = copyId;
    this.#meta = meta;
    this.#where = where;
  }

  /**
   * What was answered to a copy under this command id; undefined when there was none. Throws `Conflict` when the id was used
   * for anything else, as far as that can be said before the archive is there.
   */
  async earlier({ boxId }: BoxRecord, id: CommandId): Promise<(CopyTotals & { copyId: string }) | undefined> {
    // Only what is asked for is looked at, so that the totals need not be known.
    const none = { generation: 1, entries: 0, bytes: 0, sha256: '', durationMs: 0 };
    const { copyId } = this;
    const asked = { type: 'copy.reportCompleted', copyId, boxId, ...this.#where, ...none } as const;
    const answer = await this.#deps.memory.answered(asked, { ...this.#meta, commandId: id });
    if (answer === undefined) return undefined;
    if (answer.kind === 'refused') throw BoxledgerError.fromRefusal(answer.refusal);
    return this.#totalsOf(answer.streamId);
  }

  /**
   * `id`: the caller's, which stands for the copy from now on. When another call was faster to use it, the log has both copies,
   * for both were made.
   */
  async completed(
    box: BoxRecord,
    done: Omit<CopyTotals, 'durationMs'>,
    id: CommandId | undefined,
  ): Promise<void> {
    const command = { ...this.#command(box), type: 'copy.reportCompleted', ...done } as const;
    const own = { ...this.#meta, commandId: commandId(`${this.copyId}.${command.type}`) };
    const meta = id === undefined ? own : { ...own, commandId: id };
    const answer = await insisted(() => this.#deps.door.submit(command, meta));
    if (answer.kind === 'refused' || answer.streamId !== copyStream(this.copyId))
      await insisted(() => submit(this.#deps, command, own));
  }

  async failed(box: BoxRecord, cause: unknown): Promise<void> {
    const { code, message, details } = failureOf(cause);
    const failure = { code, message, ...(details && { details }) };
    const command = { ...this.#command(box), type: 'copy.reportFailed', failure } as const;
    const meta = { ...this.#meta, commandId: commandId(`${this.copyId}.${command.type}`) };
    await insisted(() => submit(this.#deps, command, meta));
  }

  #command({ boxId, view: { generation } }: BoxRecord) {
    const durationMs = Math.round(performance.now() - this.#begun);
    return { copyId: this.copyId, boxId, generation, ...this.#where, durationMs };
  }

  async #totalsOf(streamId: StreamId): Promise<(CopyTotals & { copyId: string }) | undefined> {
    const [event] = await this.#deps.log.readStream(streamId, noVersion, 1);
    if (event?.type !== 'copy.completed') return undefined;
    return { ...event.data, copyId: streamId.slice('copy/'.length) };
  }
}
