import { setUp } from './setup.mjs';

await setUp();
const { register } = await import('tsx/esm/api');
register();
await import('../bench/main.ts');
