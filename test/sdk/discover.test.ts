import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { discoverServer } from '../../src/sdk/discover.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'boxledger-sdk-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const write = async (name: string, text: string) => {
  await writeFile(join(directory, name), text);
  return join(directory, name);
};

test('an address that is given wins over the environment, and both over the data dir', async () => {
  await write('server.json', '{"grpc":"127.0.0.1:3","pid":1}');
  const env = { BOXLEDGER_ADDR: '127.0.0.1:2', BOXLEDGER_DATA_DIR: directory };
  expect((await discoverServer({ address: 'localhost:1', env })).address).toBe('localhost:1');
  expect((await discoverServer({ env })).address).toBe('127.0.0.1:2');
  expect((await discoverServer({ env: { BOXLEDGER_DATA_DIR: directory } })).address).toBe('127.0.0.1:3');
  expect((await discoverServer({ dataDir: directory, env: {} })).address).toBe('127.0.0.1:3');
});

test('without a server’s file the error says where it looked and how to start one', async () => {
  await expect(discoverServer({ dataDir: directory, env: {} })).rejects.toMatchObject({
    code: 'Unavailable',
    message: expect.stringContaining(join(directory, 'server.json')),
    help: expect.stringContaining('boxledger serve'),
  });
});

test.each(['', '{', '[]', '{"grpc":7}', '{"grpc":"nowhere"}'])(
  'a server’s file that says %j is no server',
  async (text) => {
    await write('server.json', text);
    await expect(discoverServer({ dataDir: directory, env: {} })).rejects.toMatchObject({
      code: 'Unavailable',
    });
  },
);

test('an address that is none is refused before anything is called', async () => {
  await expect(discoverServer({ address: 'http://x', env: {} })).rejects.toMatchObject({
    code: 'InvalidArgument',
    faults: [{ field: 'addr', problem: expect.any(String) }],
  });
});

test('the token is read from its file without white space around it', async () => {
  const tokenFile = await write('token', 'secret\n');
  const address = '127.0.0.1:1';
  expect(await discoverServer({ address, tokenFile, env: {} })).toMatchObject({ token: 'secret' });
  expect(await discoverServer({ address, env: { BOXLEDGER_TOKEN_FILE: tokenFile } })).toMatchObject({
    token: 'secret',
  });
});

test('a token file that is missing or empty is an error that names it', async () => {
  const empty = await write('empty', '\n');
  for (const tokenFile of [empty, join(directory, 'none')])
    await expect(discoverServer({ address: '127.0.0.1:1', tokenFile, env: {} })).rejects.toMatchObject({
      code: 'InvalidArgument',
      message: expect.stringContaining(tokenFile),
    });
});

test('the actor is the one given, else the environment’s, else the user of the system', async () => {
  const address = '127.0.0.1:1';
  expect((await discoverServer({ address, actor: 'ann', env: { BOXLEDGER_ACTOR: 'bob' } })).actor).toBe(
    'ann',
  );
  expect((await discoverServer({ address, env: { BOXLEDGER_ACTOR: 'bob' } })).actor).toBe('bob');
  expect((await discoverServer({ address, env: {} })).actor).toEqual(expect.any(String));
  await expect(discoverServer({ address, actor: 'a\nb', env: {} })).rejects.toMatchObject({
    code: 'InvalidArgument',
  });
});
