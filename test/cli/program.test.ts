import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { processIo } from '../../src/cli/io.ts';
import { buildProgram } from '../../src/cli/program.ts';
import { table } from '../../src/cli/table.ts';
import { visible } from '../../src/cli/visible.ts';
import { cli, jsonLines } from './in-process.ts';

const notHere = () => Promise.reject(new Error('not here'));
const program = buildProgram({
  io: processIo(),
  server: {
    serve: notHere,
    migrate: notHere,
    rebuild: notHere,
    preview: notHere,
    doctor: notHere,
    archive: notHere,
    images: { build: notHere, list: notHere, remove: notHere },
    audit: notHere,
  },
});

test('there is every command that a user was promised', () => {
  expect(program.commands.map((command) => command.name())).toEqual(
    expect.arrayContaining(
      'serve create run start stop restart pause resume exec ls inspect stats top logs events diff why explain wait rm rename snapshot clone export import audit archive migrate rebuild preview doctor completion version'.split(
        ' ',
      ),
    ),
  );
});

/** Commands that do something; a group of them is none, nor is what shells ask. */
const leaves = program.commands
  .filter((command) => !command.name().startsWith('__'))
  .flatMap((command) =>
    command.commands.length === 0
      ? command.name()
      : command.commands.map((part) => `${command.name()} ${part.name()}`),
  );

test.each(leaves)('%s has help with an example', async (name) => {
  const { code, stdout, stderr } = await cli([...name.split(' '), '--help']);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toMatch(new RegExp(`Examples?:\\n {2}\\$ boxledger ${name}`));
  expect(stdout).toContain('--json');
});

test('without a command there is help', async () => {
  expect(await cli([])).toMatchObject({ code: 0, stdout: expect.stringContaining('Commands:') });
});

test.each([
  [['lst'], "unknown command 'lst' (Did you mean ls?)", 'boxledger --help'],
  [['ls', '--jsn'], "unknown option '--jsn' (Did you mean --json?)", 'boxledger ls --help'],
  [['stop'], "missing required argument 'box'", 'boxledger stop --help'],
  [['exec', 'web'], "missing required argument 'command'", 'boxledger exec --help'],
  [['wait', 'a', 'b'], 'too many arguments', 'boxledger wait --help'],
  [['create', '--cpus'], "option '--cpus <n>' argument missing", 'boxledger create --help'],
])('%j is a usage error that says what to do next', async (argv, message, help) => {
  const { code, stdout, stderr } = await cli(argv);
  expect({ code, stdout }).toEqual({ code: 125, stdout: '' });
  expect(stderr).toContain(`boxledger: ${message}`);
  expect(stderr).toContain(help);
});

test('a usage error is JSON where JSON was asked for', async () => {
  const { code, stderr } = await cli(['ls', '--json', '--what']);
  expect(code).toBe(125);
  expect(jsonLines(stderr)).toMatchObject([{ error: { code: 'InvalidArgument' } }]);
});

test('without a server the error says how to start one', async () => {
  const { code, stderr } = await cli(['ls', '--data-dir', '/nonexistent/dir']);
  expect(code).toBe(125);
  expect(stderr).toContain('/nonexistent/dir/server.json');
  expect(stderr).toContain('boxledger serve');
});

test('version prints the version of the package', async () => {
  expect((await cli(['version'])).stdout).toMatch(/^boxledger \d+\.\d+\.\d+\n$/);
  expect(jsonLines((await cli(['version', '--json'])).stdout)).toMatchObject([
    { version: expect.any(String) },
  ]);
});

test('what would repaint the terminal is made visible', () => {
  expect(visible('a\u0000\t\n\r\u001b[2J\u007f\u009b\u202e\u2028é🦊')).toBe(
    'a\\x00\\t\\n\\r\\x1b[2J\\x7f\\x9b\\u202e\\u2028é🦊',
  );
});

test('a table’s columns are as wide as their widest cell', () => {
  expect(
    table(
      ['A', 'LONG'],
      [
        ['wide🦊', 'x'],
        ['', 'y'],
      ],
    ),
  ).toBe('A      LONG\nwide🦊  x\n       y');
});

const bin = fileURLToPath(new URL('../../bin/boxledger.mjs', import.meta.url));
const isBuilt = existsSync(bin) && existsSync(new URL('../../dist/cli/program.js', import.meta.url));

test.skipIf(!isBuilt)('the built program runs', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [bin, 'version']);
  expect(stdout).toMatch(/^boxledger \d/);
  await expect(promisify(execFile)(process.execPath, [bin, 'nonesuch'])).rejects.toMatchObject({ code: 125 });
});
