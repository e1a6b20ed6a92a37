import type { EffectArgs, EffectIntent, EffectKind, EffectResult } from '../events/effects.ts';
import type { CrashProbe } from '../kernel/crash-point.ts';

/** What a handler gets besides the effect's arguments. */
export interface EffectContext<Kind extends EffectKind> {
  readonly intent: Extract<EffectIntent, { kind: Kind }>;
  /** 1 for the first try. */
  readonly attempt: number;
  /** Milliseconds that the effect was due for before this attempt's claim, earlier attempts included. */
  readonly queuedMs: number;
  /**
   * Fires when the effect is cancelled, its claim lost or its deadline passed. The handler then undoes what it began and
   * throws; nobody hears its outcome any more.
   */
  readonly signal: AbortSignal;
  readonly crash: CrashProbe;
}

/**
 * Carries out one kind of effect. Idempotent: the world may already be as asked, or half-way there, from an attempt
 * that died. Throws `BoxledgerError`; one with `retry` is tried again by the runner, any other is the outcome.
 */
export type EffectHandler<Kind extends EffectKind> = (
  args: EffectArgs<Kind>,
  context: EffectContext<Kind>,
) => Promise<EffectResult<Kind>>;

/** A handler for every kind: leaving one out does not compile. */
export type EffectHandlers = { readonly [Kind in EffectKind]: EffectHandler<Kind> };
