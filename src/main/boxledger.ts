import { processIo } from '../cli/io.ts';
import { runCli } from '../cli/program.ts';
import { diagnose } from './doctor.ts';
import { migrateDatabase } from './migrate.ts';
import { serve } from './serve.ts';

/** The `boxledger` program: the client's commands, and those that are a server's. */
await runCli(
  { io: processIo(), server: { serve, migrate: migrateDatabase, doctor: diagnose } },
  process.argv.slice(2),
);
