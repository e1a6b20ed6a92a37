import { z } from 'zod';
import type { EffectClaim } from '../commands/event-store.ts';
import type { ClaimResult, DueEffect, EffectBacklog, Outbox, OverdueEffect } from '../effects/outbox.ts';
import { effectKindSchema } from '../events/effects.ts';
import { effectIdSchema } from '../events/schemas.ts';
import type { EffectId, HostId } from '../kernel/ids.ts';
import type { JsonObject } from '../kernel/json.ts';
import type { Database } from './database.ts';
import { parseClaimedEffect, parseDueEffect, parseOverdueEffect } from './row-parsers.ts';
import { statement } from './statement.ts';

const takeUnqueued = statement('take-unqueued');
const claimEffect = statement('claim-effect');
const explainClaim = statement('explain-claim');
const renewClaim = statement('renew-claim');
const releaseClaim = statement('release-claim');
const releaseEarlierEpochs = statement('release-earlier-epochs');
const takeOverdue = statement('take-overdue');
const openEffects = statement('open-effects');

const waitRow = z.object({ state: z.enum(['pending', 'claimed']), retry_after_ms: z.int().positive() });
const idRow = z.object({ effect_id: effectIdSchema });
const backlogRow = z.object({
  kind: effectKindSchema,
  state: z.enum(['pending', 'claimed']),
  effects: z.int(),
  waiting_ms: z.number(),
});

/**
 * The outbox as rows. Leases, due times and deadlines are measured by the database's clock, the only one that all hosts
 * share. An effect is claimed only for the host that it was placed on, by the host's present epoch, if that is the one that
 * it was asked for in or a later one; to any other it is `over`.
 */
export class PostgresOutbox implements Outbox {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async takeUnqueued(olderThanMs: number, limit: number): Promise<readonly DueEffect[]> {
    return (await this.#database.query(takeUnqueued, [olderThanMs, limit])).map(parseDueEffect);
  }

  async claim(
    effectId: EffectId,
    holder: { hostId: HostId; epoch: number },
    leaseMs: number,
  ): Promise<ClaimResult> {
    const [claimed] = await this.#database.query(claimEffect, [
      effectId,
      holder.hostId,
      holder.epoch,
      leaseMs,
    ]);
    if (claimed !== undefined) return { kind: 'claimed', effect: parseClaimedEffect(claimed) };
    const [open] = await this.#database.query(explainClaim, [effectId, holder.hostId, holder.epoch]);
    if (open === undefined) return { kind: 'over' };
    const { state, retry_after_ms } = waitRow.parse(open);
    return { kind: state === 'claimed' ? 'held' : 'early', retryAfterMs: retry_after_ms };
  }

  async renew({ effectId, attempt }: EffectClaim, leaseMs: number): Promise<boolean> {
    return (await this.#database.query(renewClaim, [effectId, attempt, leaseMs])).length > 0;
  }

  async release(
    { effectId, attempt }: EffectClaim,
    retryAfterMs: number,
    error: JsonObject,
  ): Promise<boolean> {
    const values = [effectId, attempt, retryAfterMs, JSON.stringify(error)];
    return (await this.#database.query(releaseClaim, values)).length > 0;
  }

  async releaseEarlierEpochs(hostId: HostId, epoch: number): Promise<readonly EffectId[]> {
    const rows = await this.#database.query(releaseEarlierEpochs, [hostId, epoch]);
    return rows.map((row) => idRow.parse(row).effect_id);
  }

  async takeOverdue(limit: number, leaseMs: number): Promise<readonly OverdueEffect[]> {
    return (await this.#database.query(takeOverdue, [limit, leaseMs])).map(parseOverdueEffect);
  }

  async backlog(): Promise<readonly EffectBacklog[]> {
    const rows = z.array(backlogRow).parse(await this.#database.query(openEffects, []));
    return rows.map(({ waiting_ms: waitingMs, ...row }) => ({ ...row, waitingMs }));
  }
}
