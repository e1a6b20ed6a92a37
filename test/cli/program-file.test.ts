import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const program = fileURLToPath(new URL('../../bin/boxledger.mjs', import.meta.url));

test('started as a program, it leaves no option of its own to Node', async () => {
  const failing = promisify(execFile)(program, ['create', 'web', '--env-file', '/nowhere', '--cpus', 'two']);
  await expect(failing).rejects.toMatchObject({
    code: 125,
    stderr: expect.stringMatching(/--env-file: \/nowhere cannot be read .*--cpus: /s),
  });
});
