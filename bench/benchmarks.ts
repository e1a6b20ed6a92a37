import { benchAppend } from './append.ts';
import type { Benchmark } from './benchmark.ts';
import { benchExec } from './exec.ts';
import { benchFold } from './fold.ts';
import { benchLag } from './lag.ts';
import { benchLifecycle } from './lifecycle.ts';
import { benchHeadLoad } from './load.ts';
import { benchSize } from './size.ts';
import { benchVerify } from './verify.ts';
import { benchMachines } from './vm.ts';

interface BenchmarkEntry {
  readonly run: Benchmark;
  readonly about: string;
  /** Needs more than this repository brings: runs only when it is named. */
  readonly byNameOnly?: boolean;
}

/** All benchmarks by name, in the order in which they run and are explained. */
export const benchmarks: Readonly<Record<string, BenchmarkEntry>> = {
  append: {
    run: benchAppend,
    about:
      'commands decided and committed, beside two peers: Emmett and a plain INSERT; latency at half load',
  },
  load: { run: benchHeadLoad, about: 'a box read for a command, after 10, 1 000 and 100 000 events' },
  fold: { run: benchFold, about: 'a box of 100 000 events folded afresh' },
  lag: {
    run: benchLag,
    about: 'from asking for an append until a follower of the log has the event, at half load',
  },
  lifecycle: {
    run: benchLifecycle,
    about: 'a box created, started and stopped, with simulated boxes (queue on REDIS_URL if set)',
  },
  exec: { run: benchExec, about: 'a program run to its end in a real box, beside the bare program' },
  verify: { run: benchVerify, about: 'a signed log of 100 000 events read back and proved' },
  size: {
    run: benchSize,
    about: 'what an event takes on disk with all indexes, after boxes have lived their lives',
  },
  vm: {
    run: benchMachines,
    about: 'machines of the qemu driver (docs/machines.md); only when it is named',
    byNameOnly: true,
  },
};
