import { afterEach } from 'vitest';
import { type Script, type ScriptedServer, startServer } from '../sdk/scripted-server.ts';
import { cli, type Outcome, startCli } from './in-process.ts';

let server: ScriptedServer | undefined;
afterEach(async () => {
  await server?.stop();
  server = undefined;
});

/** A scripted server, and the CLI set to talk to it. */
export const served = async (script: Script) => {
  server = await startServer(script);
  const env = { BOXLEDGER_ADDR: server.address, BOXLEDGER_ACTOR: 'ann' };
  return {
    run: (...argv: string[]): Promise<Outcome> => cli(argv, { env }),
    start: (argv: readonly string[], around: { tty?: boolean; columns?: number; unread?: boolean } = {}) =>
      startCli(argv, { ...around, env }),
  };
};
