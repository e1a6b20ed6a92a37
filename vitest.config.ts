import { defineConfig } from 'vitest/config';
import { LeftOutReporter } from './test/support/left-out-reporter.ts';

const report = process.env['BOXLEDGER_TEST_REPORT'];
const jsonReporter: ['json', { outputFile: string }][] =
  report === undefined ? [] : [['json', { outputFile: report }]];

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/postgres-server.ts'],
    reporters: ['default', new LeftOutReporter((line) => process.stdout.write(`${line}\n`)), ...jsonReporter],
    pool: 'forks',
    maxWorkers: 3, // much of what they do is to wait
    testTimeout: 60_000,
    hookTimeout: 120_000,
    teardownTimeout: 30_000,
  },
});
