// Brings a fresh clone to where its commands can run: packages from the lockfile, build, link to the CLI. Plain Node,
// because nothing is installed yet. It decides by content, not by time, and does and says nothing when all is there. Any
// number may run at once: one works, the others wait for it.
import { existsSync, lstatSync, readFileSync } from 'node:fs';
import { mkdir, rm, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { build, isBuilt } from './build.mjs';
import { withLock } from './lock.mjs';
import { run, StepFailed } from './run.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const at = (path) => join(root, path);
const cliLink = at('node_modules/.bin/boxledger');

/** Resolves once packages and build are those of the working tree; ends the process with a message when they cannot be. */
export const setUp = async () => {
  try {
    requireNode();
    if (isSetUp()) return;
    await withLock(at('.setup.lock'), async () => {
      if (!isInstalled()) await install();
      if (!isBuilt()) await build(say);
      await linkCli();
    });
  } catch (error) {
    process.stderr.write(`boxledger: ${error instanceof StepFailed ? error.message : error?.stack}\n`);
    process.exit(1);
  }
};

const say = (line) => process.stderr.write(`${line}\n`);

const isSetUp = () => isInstalled() && isBuilt() && (process.platform === 'win32' || isLink(cliLink));

const requireNode = () => {
  const wanted = readJson('package.json').engines.node.replace(/^>=/, '');
  const numbers = (text) => text.split('.').map(Number);
  const [major, minor] = numbers(process.versions.node);
  const [wantedMajor, wantedMinor] = numbers(wanted);
  if (major > wantedMajor || (major === wantedMajor && minor >= wantedMinor)) return;
  throw new StepFailed(
    `this is Node ${process.versions.node}, and Node ${wanted} or newer is needed: https://nodejs.org`,
  );
};

/** npm writes what it has installed to a lockfile of its own, as its last step. */
const isInstalled = () => {
  if (!existsSync(at('node_modules/.package-lock.json'))) return false;
  const installed = readJson('node_modules/.package-lock.json').packages;
  return Object.entries(readJson('package-lock.json').packages).every(([path, wanted]) => {
    if (path === '') return true;
    const found = installed[path];
    if (found === undefined) return wanted.optional === true; // made for another platform
    return found.version === wanted.version && found.integrity === wanted.integrity;
  });
};

const install = async () => {
  say('Installing packages from package-lock.json …');
  const npmCli = process.env.npm_execpath;
  if (npmCli?.endsWith('.js')) await run(process.execPath, [npmCli, 'ci', '--no-progress']);
  else await run('npm', ['ci', '--no-progress']);
};

/** So that `npx boxledger` runs this working tree: npm links the commands of dependencies, but not a project's own. */
const linkCli = async () => {
  if (process.platform === 'win32' || isLink(cliLink)) return;
  await rm(cliLink, { force: true });
  await mkdir(dirname(cliLink), { recursive: true });
  await symlink('../../bin/boxledger.mjs', cliLink);
};

const isLink = (path) => lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true;

const readJson = (path) => JSON.parse(readFileSync(at(path), 'utf8'));

if (process.argv[1] === fileURLToPath(import.meta.url)) await setUp();
