import type { CommandMeta } from '../commands/door.ts';
import type { EffectClaim } from '../commands/event-store.ts';
import type { BoxCommand } from '../events/commands.ts';
import type { EffectOutcome } from '../events/effects.ts';
import { type BoxId, type CorrelationId, commandId, type TenantId } from '../kernel/ids.ts';

/** An outcome's way in. Its command id is its effect and attempt, so however often it is submitted it enters once. */
export const settleCommand = (
  claim: EffectClaim & { readonly correlationId: CorrelationId },
  effect: { readonly tenant: TenantId; readonly boxId: BoxId; readonly generation: number },
  outcome: EffectOutcome,
  by: string,
): { command: BoxCommand; meta: CommandMeta } => ({
  command: {
    type: 'box.settleEffect',
    boxId: effect.boxId,
    effectId: claim.effectId,
    generation: effect.generation,
    outcome,
  },
  meta: {
    tenant: effect.tenant,
    actor: { kind: 'system', id: by },
    commandId: commandId(`${claim.effectId}.${claim.attempt}`),
    correlationId: claim.correlationId,
    causationId: claim.effectId,
    settles: { effectId: claim.effectId, attempt: claim.attempt },
  },
});
