/* A process of its own, whose connections are to be cut: holds one lent out with no query on it, and says when it is lost. */
import { Database } from '../../src/store/database.ts';
import { silentLog } from './store.ts';

const database = new Database(process.argv[2] ?? '', silentLog);
const lent = await database.pool.connect();
lent.once('end', async () => {
  lent.release();
  const { rows } = await database.pool.query('SELECT 7 AS answer');
  console.log(`lost, and ${rows[0].answer}`);
  await database.close();
});
const { rows } = await lent.query('SELECT pg_backend_pid() AS pid');
console.log(rows[0].pid);
