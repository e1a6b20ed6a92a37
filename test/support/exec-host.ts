/* A host of its own, to be killed: starts three programs in the guest at the address given, and tells their execs. */
import { connectGuest } from '../../src/guest/grpc-guest.ts';
import { randomIds } from '../../src/main/random-ids.ts';

const guest = connectGuest(process.argv[2] ?? '');
const execIds: string[] = [];
for (let started = 0; started < 3; started += 1) {
  const spec = { command: 'sleep', args: ['1000'], env: {} };
  const execId = randomIds.execId();
  const defaults = { env: {}, workingDir: undefined };
  const exec = guest.exec(execId, spec, defaults, new AbortController().signal);
  const { value } = await exec[Symbol.asyncIterator]().next();
  if (value.kind === 'started') execIds.push(execId);
}
process.send?.(execIds);
