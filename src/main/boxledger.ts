import { processIo } from '../cli/io.ts';
import { runCli } from '../cli/program.ts';
import type { ServerCommands } from '../cli/server-commands.ts';

/** What makes a server is loaded only by the commands that need it: a client's start in a fraction of the time. */
const server: ServerCommands = {
  serve: async (...to) => (await import('./serve.ts')).serve(...to),
  migrate: async (options) => (await import('./migrate.ts')).migrateDatabase(options),
  rebuild: async (options, { only, folded }, signal) => {
    const [{ withStore }, { folding }] = await Promise.all([import('./with-store.ts'), import('./folds.ts')]);
    return withStore(options, (store) => store.rebuild(folding, { only, onProgress: folded, signal }));
  },
  preview: async (options, { machine, report }, signal) => {
    const [{ withStore }, { boxAggregateOf, previewBoxes }] = await Promise.all([
      import('./with-store.ts'),
      import('./preview.ts'),
    ]);
    const aggregate = await boxAggregateOf(machine);
    return withStore(options, (store) => previewBoxes(store, aggregate, report, signal));
  },
  doctor: async (options) => (await import('./doctor.ts')).diagnose(options),
  archive: async (...to) => (await import('./archive.ts')).archiveLog(...to),
  images: {
    build: async (...to) => (await import('./images.ts')).imageCommands.build(...to),
    list: async (...to) => (await import('./images.ts')).imageCommands.list(...to),
    remove: async (...to) => (await import('./images.ts')).imageCommands.remove(...to),
  },
  audit: async (options) => (await import('./open-audit.ts')).openAudit(options),
};

/** The `boxledger` program: the client's commands, and those that are a server's. */
await runCli({ io: processIo(), server }, process.argv.slice(2));
