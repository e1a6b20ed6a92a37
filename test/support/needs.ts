import { spawnSync } from 'node:child_process';

declare module 'vitest' {
  interface TaskMeta {
    /** Why this machine cannot run the suite; the run says it at its end. */
    leftOut?: string;
  }
}

/** Options for a suite that not every machine can run: it is left out where `isThere` is false. */
export const needs = (what: string, isThere: boolean) =>
  isThere ? {} : { skip: true, meta: { leftOut: `${what} is missing` } };

/** Where `BOXLEDGER_REQUIRE_REDIS` is set, a machine without Redis is an error and no reason to leave a suite out. */
export const needsRedis = () => {
  const isThere = spawnSync('redis-server', ['--version']).status === 0;
  if (!isThere && process.env['BOXLEDGER_REQUIRE_REDIS'] === '1')
    throw new Error('BOXLEDGER_REQUIRE_REDIS is set, but redis-server is not installed');
  return needs('redis-server', isThere);
};
