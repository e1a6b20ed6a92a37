import { randomUUID } from 'node:crypto';
import type { Provenance } from '../src/events/envelope.ts';
import { type CommandId, correlationId, defaultTenant } from '../src/kernel/ids.ts';

/** Of what the benchmarks append. */
export const provenanceOf = (commandId: CommandId): Provenance => ({
  tenant: defaultTenant,
  actor: { kind: 'system', id: 'bench' },
  reason: null,
  commandId,
  correlationId: correlationId(randomUUID()),
  causationId: null,
  traceparent: null,
});
