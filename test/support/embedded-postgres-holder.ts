import { openEmbeddedPostgres } from '../../src/store/embedded-postgres.ts';
import { silentLog } from './store.ts';

// Opens the embedded Postgres of the data directory given and keeps it until its standard input ends, or it is killed.
const [dataDir] = process.argv.slice(2);
if (dataDir === undefined) throw new Error('usage: embedded-postgres-holder DATA_DIR');
const server = await openEmbeddedPostgres(dataDir, silentLog);
process.stdout.write(`${server.url}\n`);
process.stdin.resume().once('end', async () => {
  await server.close();
  process.exit(0);
});
