// Builds everything that is not kept in git: wire stubs (src/gen), JavaScript (dist), the guest agent's bundle.
import { execFileSync } from 'node:child_process';
import { cpSync, renameSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const run = (command, ...args) =>
  execFileSync(process.execPath, [command, ...args], { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });

const makeStubs = () => {
  run('node_modules/@bufbuild/buf/bin/buf', 'generate');
  // The API's own description, for server reflection.
  const descriptorSet = execFileSync(
    process.execPath,
    [
      'node_modules/@bufbuild/buf/bin/buf',
      'build',
      '--path',
      'proto/boxledger',
      '--exclude-source-info',
      '-o',
      '-',
    ],
    { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] },
  );
  writeFileSync(
    `${root}/src/gen/descriptor-set.ts`,
    `export const descriptorSet = '${descriptorSet.toString('base64')}';\n`,
  );
};

const bundleAgent = async () => {
  const { build } = await import('esbuild');
  const outfile = `${root}/dist/agent/agent.cjs`;
  const unfinished = `${outfile}.${process.pid}`; // whoever starts the agent meanwhile gets the old bundle or the new
  await build({
    absWorkingDir: root,
    entryPoints: ['src/agent/main.ts'],
    outfile: unfinished,
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'cjs',
    minify: true,
    legalComments: 'none',
    logLevel: 'warning',
  });
  renameSync(unfinished, outfile);
};

// `stubs`: src/gen alone. `agent`: the agent's bundle alone, from stubs that are there. Nothing: everything.
const only = process.argv[2];
if (only !== 'agent') makeStubs();
if (only === undefined) {
  run('node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json');
  cpSync(`${root}/src/store/sql`, `${root}/dist/store/sql`, { recursive: true });
  cpSync(`${root}/src/store/migrations`, `${root}/dist/store/migrations`, { recursive: true });
}
if (only !== 'stubs') await bundleAgent();
