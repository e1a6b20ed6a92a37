import { lockDataDir } from '../../src/store/data-dir-lock.ts';

// Tries for the lock of the data directory given once a line comes in, says `taken` or why not, and keeps it until
// standard input ends, or it is killed.
const [dataDir] = process.argv.slice(2);
if (dataDir === undefined) throw new Error('usage: lock-holder DATA_DIR');
process.stdout.write('ready\n');
process.stdin.once('data', async () => {
  const answer = await lockDataDir(dataDir).then(
    () => 'taken',
    (error: Error) => `${error.name}: ${error.message}`,
  );
  process.stdout.write(`${answer}\n`);
});
process.stdin.once('end', () => process.exit(0));
