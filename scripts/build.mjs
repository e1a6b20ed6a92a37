// Builds everything that is not kept in git: wire stubs (src/gen), JavaScript (dist), the guest agent's bundle.
// `build.mjs stubs` stops after the first. Only what an input's content asks for is done again, and what has no input any
// more goes away.
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { withLock } from './lock.mjs';
import { run, StepFailed } from './run.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const at = (...path) => join(root, ...path);
const stamp = 'dist/.stamp';
const stubStamp = 'src/gen/.stamp';
const buf = 'node_modules/@bufbuild/buf/bin/buf';
const agentEntry = 'src/agent/main.ts';
const stubInputs = ['proto', 'buf.yaml', 'buf.gen.yaml', 'package-lock.json', 'scripts/build.mjs'];
const inputs = [
  'src',
  'proto',
  'buf.yaml',
  'buf.gen.yaml',
  'tsconfig.json',
  'tsconfig.build.json',
  'package-lock.json',
];

/** Whether `dist` was made from the working tree as it is now. */
export const isBuilt = () =>
  contentOf(stamp) === digestOf([...inputs, 'scripts/build.mjs']) && areStubsMade();

const areStubsMade = () => !existsSync(at('proto')) || contentOf(stubStamp) === digestOf(stubInputs);

/** `say` hears one line when there is anything to do. Throws `StepFailed` when a compiler finds fault, having shown what. */
export const build = async (say) => {
  say('Building …');
  const digest = digestOf([...inputs, 'scripts/build.mjs']);
  await rm(at(stamp), { force: true });
  await buildStubs();
  await compile();
  await copyAssets();
  await removeOrphans();
  await bundleAgent();
  await writeFile(at(stamp), digest); // last: a build that was broken off is done again
};

/** The stubs are made aside and only those that differ are written, so that nobody who reads them meets a gap. */
const buildStubs = async () => {
  if (areStubsMade()) return;
  const digest = digestOf(stubInputs);
  await mkdir(at('node_modules/.cache'), { recursive: true });
  const aside = await mkdtemp(at('node_modules/.cache/stubs-'));
  try {
    await runTool(buf, 'generate', '--output', aside);
    await describeApi(join(aside, 'src/gen/descriptor-set.ts'));
    const made = filesUnder(join(aside, 'src/gen'));
    for (const file of made) {
      await keepEveryKey(join(aside, 'src/gen', file));
      await writeIfChanged(at('src/gen', file), join(aside, 'src/gen', file));
    }
    for (const file of filesUnder(at('src/gen'))) if (!made.includes(file)) await rm(at('src/gen', file));
  } finally {
    await rm(aside, { recursive: true, force: true });
  }
  await writeFile(at(stubStamp), digest);
};

/** ts-proto decodes a map into `{}`, which loses the key `__proto__` without a word; an object of no prototype has it. */
const keepEveryKey = async (file) => {
  const source = await readFile(file, 'utf8');
  await writeFile(file, source.replace(/\b(?!_unknownFields)(\w+): \{\}/g, '$1: Object.create(null)'));
};

/** The API's own description as a module, for server reflection. */
const describeApi = async (target) => {
  const binary = `${target}.binpb`;
  await runTool(buf, 'build', '--path', 'proto/boxledger', '--exclude-source-info', '--output', binary);
  const base64 = (await readFile(binary)).toString('base64');
  await rm(binary);
  await writeFile(target, `export const descriptorSet = '${base64}';\n`);
};

const compile = async () => {
  // tsc writes only what has changed since its last run: a file that somebody deleted would stay away.
  const whole = sources().every((source) => existsSync(at('dist', source.replace(/\.ts$/, '.js'))));
  if (!whole) await rm(at('dist/.tsbuildinfo'), { force: true });
  await runTool('node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json');
};

/** Whatever in src is not TypeScript, such as SQL, is read at run time from the same place in dist. */
const copyAssets = async () => {
  for (const file of filesUnder(at('src')))
    if (!file.endsWith('.ts') && !file.startsWith('gen/'))
      await writeIfChanged(at('dist', file), at('src', file));
};

const removeOrphans = async () => {
  const wanted = new Set(
    filesUnder(at('src')).flatMap((file) =>
      file.endsWith('.ts') ? ['.js', '.js.map', '.d.ts'].map((end) => file.replace(/\.ts$/, end)) : [file],
    ),
  );
  for (const file of ['.tsbuildinfo', 'agent/agent.cjs']) wanted.add(file);
  for (const file of filesUnder(at('dist'))) if (!wanted.has(file)) await rm(at('dist', file));
};

const bundleAgent = async () => {
  if (!existsSync(at(agentEntry))) return;
  const esbuild = await import('esbuild');
  await esbuild.build({
    absWorkingDir: root,
    entryPoints: [agentEntry],
    outfile: 'dist/agent/agent.cjs',
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'cjs',
    minify: true,
    legalComments: 'none',
    logLevel: 'warning',
  });
};

const runTool = (script, ...args) => run(process.execPath, [script, ...args]);

const writeIfChanged = async (target, source) => {
  const content = await readFile(source);
  if (existsSync(target) && content.equals(await readFile(target))) return;
  await mkdir(dirname(target), { recursive: true });
  await writeFile(target, content);
};

const sources = () => filesUnder(at('src')).filter((file) => file.endsWith('.ts') && !file.endsWith('.d.ts'));

/** Paths below `directory` of all its files, in a stable order; empty when there is no such directory. */
const filesUnder = (directory) => {
  if (!existsSync(directory)) return [];
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(directory.length + 1))
    .sort();
};

/** SHA-256 over names and contents. Generated stubs are not an input. */
const digestOf = (paths) => {
  const hash = createHash('sha256');
  for (const path of paths) {
    if (!existsSync(at(path))) continue;
    const files = statSync(at(path)).isDirectory()
      ? filesUnder(at(path)).map((file) => `${path}/${file}`)
      : [path];
    for (const file of files)
      if (!file.startsWith('src/gen/'))
        hash
          .update(`${file}\0`)
          .update(readFileSync(at(file)))
          .update('\0');
  }
  return hash.digest('hex');
};

const contentOf = (path) => (existsSync(at(path)) ? readFileSync(at(path), 'utf8') : undefined);

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    await withLock(at('.setup.lock'), () =>
      process.argv[2] === 'stubs' ? buildStubs() : build(() => undefined),
    );
  } catch (error) {
    if (!(error instanceof StepFailed)) throw error;
    process.stderr.write(`boxledger: ${error.message}\n`);
    process.exitCode = 1;
  }
}
