/* A host of its own, to be killed: starts three programs in the guest at the address given, and tells their pids. */
import { connectGuest } from '../../src/guest/grpc-guest.ts';

const guest = connectGuest(process.argv[2] ?? '');
const pids: number[] = [];
for (let started = 0; started < 3; started += 1) {
  const spec = { command: 'sleep', args: ['1000'], env: {} };
  const exec = guest.exec(spec, { env: {}, workingDir: undefined }, new AbortController().signal);
  const { value } = await exec[Symbol.asyncIterator]().next();
  if (value.kind === 'started') pids.push(value.pid);
}
process.send?.(pids);
