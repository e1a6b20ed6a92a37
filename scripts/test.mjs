// `npm test`: set-up, then every test that this machine can run. Arguments are vitest's own.
import { setUp } from './setup.mjs';

await setUp();
process.argv.splice(2, 0, 'run');
await import('../node_modules/vitest/vitest.mjs');
