import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

/** A step of set-up that cannot be done. Its message is for the user; there is nothing to learn from its stack. */
export class StepFailed extends Error {}

/** Runs a program in the project's root, silently; shows all its output when it fails. */
export const run = async (command, args) => {
  const { code, output } = await outcomeOf(command, args);
  if (code === 0) return;
  process.stderr.write(output);
  throw new StepFailed(`${command} ${args.join(' ')} failed; its output is above`);
};

const outcomeOf = (command, args) =>
  new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    const chunks = [];
    child.stdout.on('data', (chunk) => chunks.push(chunk));
    child.stderr.on('data', (chunk) => chunks.push(chunk));
    const terminate = () => child.kill();
    process.once('SIGTERM', terminate);
    child.once('error', (cause) => reject(new StepFailed(`cannot run ${command}: ${cause.message}`)));
    child.once('close', (code) => {
      process.off('SIGTERM', terminate);
      resolve({ code, output: Buffer.concat(chunks) });
    });
  });
