import type { JsonObject } from '../kernel/json.ts';
import type { Box, HealthCheck } from '../sdk/client.ts';
import type { Snapshot } from '../sdk/disks.ts';
import { momentJson, numberJson } from './json-values.ts';

/** What `--json` prints of a box's disk, and of what is done to it. */

export const snapshotJson = (snapshot: Snapshot): JsonObject => ({
  snapshotId: snapshot.snapshotId,
  name: snapshot.name,
  parent: snapshot.parent || null,
  consistency: snapshot.consistency,
  copy: snapshot.copy,
  sizeBytes: numberJson(snapshot.sizeBytes),
  createdAt: momentJson(snapshot.createdAt),
});

export const operationJson = (operation: Box['operation']): JsonObject | null =>
  operation === undefined
    ? null
    : {
        kind: operation.kind,
        snapshotId: operation.snapshotId || null,
        clones: [...operation.clones],
        exportId: operation.exportId || null,
      };

export const originJson = (origin: Box['origin']): JsonObject | null => {
  switch (origin?.from?.$case) {
    case 'clone': {
      const { boxId, version } = origin.from.value;
      return { kind: 'clone', boxId, version: numberJson(version) };
    }
    case 'import': {
      const { sha256, sizeBytes } = origin.from.value;
      return { kind: 'import', sha256, sizeBytes: numberJson(sizeBytes) };
    }
    default:
      return null;
  }
};

export const pauseJson = (pause: Box['pause']): JsonObject | null =>
  pause === undefined
    ? null
    : {
        since: momentJson(pause.since),
        until: momentJson(pause.until),
        consistency: pause.consistency,
        toDisk: pause.toDisk,
      };

export const healthCheckJson = (check: HealthCheck | undefined): JsonObject | null =>
  check === undefined
    ? null
    : {
        command: [...check.command],
        intervalMs: check.intervalMs ?? null,
        timeoutMs: check.timeoutMs ?? null,
        retries: check.retries ?? null,
        startPeriodMs: check.startPeriodMs ?? null,
      };
