import type { Reporter, TestCase, TestModule, Vitest } from 'vitest/node';

/** Says at the end of a run which suites this machine left out, and why. */
export class LeftOutReporter implements Reporter {
  readonly #say: (line: string) => void;
  /** The caller chose tests by name: the others are not left out by the machine. */
  #isFiltered = false;

  constructor(say: (line: string) => void) {
    this.#say = say;
  }

  onInit(vitest: Vitest): void {
    this.#isFiltered = vitest.config.testNamePattern !== undefined;
  }

  onTestRunEnd(modules: readonly TestModule[]): void {
    if (this.#isFiltered) return;
    const counts = new Map<string, number>();
    for (const module of modules)
      for (const test of module.children.allTests('skipped')) {
        const line = lineOf(module, test);
        counts.set(line, (counts.get(line) ?? 0) + 1);
      }
    if (counts.size === 0) return;
    this.#say('Left out on this machine:');
    for (const [line, count] of counts) this.#say(`  ${line} (${count} ${count === 1 ? 'test' : 'tests'})`);
    this.#say('');
  }
}

/** The suite's name, which says what it needs, and the note of a test that found out by itself. */
const lineOf = (module: TestModule, test: TestCase): string => {
  const suite = test.parent.type === 'suite' ? test.parent.fullName : test.name;
  const result = test.result();
  const note = result.state === 'skipped' && result.note !== undefined ? `: ${result.note}` : '';
  return `${module.relativeModuleId} > ${suite}${note}`;
};
