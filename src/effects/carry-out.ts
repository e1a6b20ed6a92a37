import type { EffectIntent, EffectKind, EffectOutcome } from '../events/effects.ts';
import type { Failure } from '../events/failure.ts';
import type { EffectContext, EffectHandlers } from './effect-handler.ts';

/** Calls the handler of the effect's kind; throws what it throws. */
export const carryOut = async (
  handlers: EffectHandlers,
  intent: EffectIntent,
  rest: Omit<EffectContext<EffectKind>, 'intent'>,
): Promise<EffectOutcome> => {
  const status = 'succeeded';
  // Each handler gets the arguments, and its result the outcome, of its own kind.
  switch (intent.kind) {
    case 'vm.boot': {
      const result = await handlers['vm.boot'](intent.args, { ...rest, intent });
      return { kind: intent.kind, outcome: { status, result } };
    }
    case 'vm.shutdown': {
      const result = await handlers['vm.shutdown'](intent.args, { ...rest, intent });
      return { kind: intent.kind, outcome: { status, result } };
    }
    case 'vm.pause': {
      const result = await handlers['vm.pause'](intent.args, { ...rest, intent });
      return { kind: intent.kind, outcome: { status, result } };
    }
    case 'vm.resume': {
      const result = await handlers['vm.resume'](intent.args, { ...rest, intent });
      return { kind: intent.kind, outcome: { status, result } };
    }
    case 'disk.remove': {
      const result = await handlers['disk.remove'](intent.args, { ...rest, intent });
      return { kind: intent.kind, outcome: { status, result } };
    }
    case 'disk.snapshot': {
      const result = await handlers['disk.snapshot'](intent.args, { ...rest, intent });
      return { kind: intent.kind, outcome: { status, result } };
    }
    case 'disk.restore': {
      const result = await handlers['disk.restore'](intent.args, { ...rest, intent });
      return { kind: intent.kind, outcome: { status, result } };
    }
    case 'disk.clone': {
      const result = await handlers['disk.clone'](intent.args, { ...rest, intent });
      return { kind: intent.kind, outcome: { status, result } };
    }
    case 'disk.export': {
      const result = await handlers['disk.export'](intent.args, { ...rest, intent });
      return { kind: intent.kind, outcome: { status, result } };
    }
    case 'snapshot.remove': {
      const result = await handlers['snapshot.remove'](intent.args, { ...rest, intent });
      return { kind: intent.kind, outcome: { status, result } };
    }
    default:
      return intent satisfies never;
  }
};

export const failed = (kind: EffectKind, failure: Failure): EffectOutcome => ({
  kind,
  outcome: { status: 'failed', failure },
});
