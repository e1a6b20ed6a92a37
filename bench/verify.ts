import { generateKeyPairSync } from 'node:crypto';
import { makeCheckpoint } from '../src/audit/make-checkpoint.ts';
import { readSigningKey } from '../src/audit/signing-key.ts';
import { verifyLog } from '../src/audit/verify-log.ts';
import { commandId } from '../src/kernel/ids.ts';
import { noCrash } from '../src/kernel/crash-point.ts';
import { assert } from '../src/kernel/assert.ts';
import { PostgresAuditLog } from '../src/store/postgres-audit-log.ts';
import type { Store } from '../src/store/store.ts';
import { manyRequests } from './append.ts';
import type { Operation } from './load.ts';

const eventCount = 200_000;
