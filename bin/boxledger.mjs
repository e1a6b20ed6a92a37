#!/usr/bin/env -S node --
// Without the two dashes Node 20 takes --env-file, an option of some of our commands, for its own wherever it stands.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const main = new URL('../dist/main/boxledger.js', import.meta.url);
if (existsSync(main)) await import(main.href);
else {
  const root = fileURLToPath(new URL('..', import.meta.url));
  process.stderr.write(`boxledger: not built yet. Run "npm start" or "npm run setup" in ${root}\n`);
  process.exitCode = 125;
}
