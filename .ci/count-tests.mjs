// Prints "N passed, N failed, N skipped" from vitest's JSON report. A test file that could not even be loaded counts as
// one failed test, and so does a run that left no report.
import { readFileSync } from 'node:fs';

const countsOf = (text) => {
  if (text === '') return { passed: 0, failed: 1, skipped: 0 };
  const report = JSON.parse(text);
  const unloadable = report.testResults.filter(
    ({ status, assertionResults }) =>
      status === 'failed' && !assertionResults.some((test) => test.status === 'failed'),
  );
  return {
    passed: report.numPassedTests,
    failed: report.numFailedTests + unloadable.length,
    skipped: report.numPendingTests + report.numTodoTests,
  };
};

const { passed, failed, skipped } = countsOf(readFileSync(process.argv[2], 'utf8'));
console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
if (failed > 0) process.exitCode = 1;
