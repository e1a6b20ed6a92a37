import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import type { BoxOptions, LogPolicy } from '../events/box-options.ts';
import type { ExecRecorded, ExecSpec } from '../events/exec-events.ts';
import type { ExecId } from '../kernel/ids.ts';

/** What the log says of an exec, as its box's options have it. */
export const recordedOf = (
  execId: ExecId,
  { command, args, env }: ExecSpec,
  { execLog }: BoxOptions,
): ExecRecorded => ({
  program: underPolicy(execLog.args, { kind: 'full', command, args }, () =>
    salted({ execId, command, args }),
  ),
  env: underPolicy(execLog.env, { kind: 'full', values: env }, () => salted({ execId, env })),
});

const underPolicy = <Full>(policy: LogPolicy, full: Full, sha256: () => string) => {
  switch (policy) {
    case 'full':
      return full;
    case 'hash':
      return { kind: 'hash', sha256: sha256() } as const;
    case 'none':
      return { kind: 'none' } as const;
    default:
      return policy satisfies never;
  }
};

/**
 * SHA-256 in hexadecimal over canonical JSON (RFC 8785). The exec's id is the salt: equal programs have different hashes.
 * It is no secret, so that who knows what was run can prove it; who can guess it, can too.
 */
const salted = (value: object): string =>
  createHash('sha256')
    .update(canonicalize(value) ?? '')
    .digest('hex');
