import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

export interface Bundle {
  readonly path: string;
  remove(): Promise<void>;
}

/**
 * Makes one file of a program in TypeScript, next to the native code that it loads: it starts fast, and anybody may run it.
 */
export const bundle = async (program: URL): Promise<Bundle> => {
  const directory = await mkdtemp(join(tmpdir(), 'boxledger-bundle-'));
  await chmod(directory, 0o755);
  const path = join(directory, 'program.mjs');
  await build({
    entryPoints: [fileURLToPath(program)],
    outfile: path,
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'esm',
    loader: { '.node': 'copy' },
    // What loads native code is CommonJS.
    banner: {
      js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
    },
    logLevel: 'error',
  });
  return { path, remove: () => rm(directory, { recursive: true }) };
};
