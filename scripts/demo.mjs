import { setUp } from './setup.mjs';

await setUp();
await import('../dist/main/demo.js');
