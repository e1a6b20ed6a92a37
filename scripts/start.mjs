import { setUp } from './setup.mjs';

await setUp();
process.argv.splice(2, 0, 'serve');
await import('../bin/boxledger.mjs');
