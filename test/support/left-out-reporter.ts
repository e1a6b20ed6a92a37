import type { Reporter, TestCase, TestModule, Vitest } from 'vitest/node';
import './needs.ts';

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
        const line = reasonOf(module, test);
        counts.set(line, (counts.get(line) ?? 0) + 1);
      }
    if (counts.size === 0) return;
    this.#say('Left out on this machine:');
    for (const [line, count] of counts) this.#say(`  ${line} (${count} ${count === 1 ? 'test' : 'tests'})`);
    this.#say('');
  }
}

const reasonOf = (module: TestModule, test: TestCase): string => {
  const result = test.result();
  const reason = (result.state === 'skipped' ? result.note : undefined) ?? leftOutBy(test);
  const suite = test.parent.type === 'suite' ? test.parent.fullName : test.name;
  return `${module.relativeModuleId} > ${suite}: ${reason ?? 'no reason given'}`;
};

const leftOutBy = (test: TestCase): string | undefined => {
  for (let task: TestCase | TestCase['parent'] = test; ; task = task.parent) {
    const { leftOut } = task.meta();
    if (leftOut !== undefined) return leftOut;
    if (task.type === 'module' || task.parent === undefined) return undefined;
  }
};
