import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Client, connect } from '../sdk/client.ts';
import { auditLog } from './demo-audit.ts';
import { buildDemoImage, startDemoServer } from './demo-server.ts';
import { liveABoxesLife, type Printed } from './demo-story.ts';
import { verifyHistory } from './demo-verify.ts';

/** `npm run demo`: a box's whole life on a server of its own, and the proof that its log is all there is to it. */
const demo = async (say: (line: string) => void, interrupted: Promise<never>): Promise<boolean> => {
  const dataDir = await mkdtemp(join(tmpdir(), 'boxledger-demo-'));
  try {
    const { boxId, agrees } = await live(dataDir, say, interrupted);
    return agrees && (await Promise.race([auditLog(dataDir, boxId, say), interrupted]));
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
};

/** The life, and whether the history read back from the log agrees with what the server says of the box. */
const live = async (dataDir: string, say: (line: string) => void, interrupted: Promise<never>) => {
  const options = process.argv.slice(2);
  const driver = options[options.indexOf('--driver') + 1] === 'qemu' ? 'qemu' : 'process';
  if (driver === 'qemu') {
    say('Building an image for machines …');
    say(`    ${await buildDemoImage(dataDir)}`);
  }
  say(`Starting a server with embedded Postgres and the ${driver} driver in ${dataDir}`);
  const server = await startDemoServer(dataDir, options);
  const client = connect({ address: server.address, actor: 'demo' });
  const printing = new AbortController();
  const events = printEvents(client, say, printing.signal);
  try {
    const printed: Printed = (...event) => Promise.race([events.printed(...event), interrupted]);
    const boxId = await liveABoxesLife(client, say, printed);
    return { boxId, agrees: await verifyHistory(client, boxId, say) };
  } catch (error) {
    await removeBoxes(client).catch((left) => say(`The demo's box could not be removed: ${left}`));
    throw error;
  } finally {
    printing.abort();
    await events.ended;
    client.close();
    await server.stop();
  }
};

/** Boxes outlive their server, and this one's data directory is about to go. */
const removeBoxes = async (client: Client): Promise<void> => {
  for await (const box of client.list()) await client.remove(box.boxId, { force: true });
};

/** Prints each event as it is appended. */
const printEvents = (client: Client, say: (line: string) => void, signal: AbortSignal) => {
  const waiting = new Map<string, () => void>();
  const seen = new Set<string>();
  const print = async () => {
    for await (const event of client.readAll({ follow: true, signal })) {
      const about = event.dataJson === '{}' ? '' : ` ${event.dataJson}`;
      say(
        `    ${event.streamId.padEnd(25)} ${String(event.version).padStart(2)} ${event.type}${clip(about, 100)}`,
      );
      const key = `${event.streamId} ${event.type}`;
      seen.add(key);
      waiting.get(key)?.();
    }
  };
  const ended = print().catch((error) => {
    if (!signal.aborted) throw error;
  });
  return {
    ended,
    printed: (streamId: string, type: string): Promise<void> => {
      const key = `${streamId} ${type}`;
      const came = new Promise<void>((resolve) => {
        if (seen.has(key)) resolve();
        else waiting.set(key, resolve);
      });
      return Promise.race([came, ended]);
    },
  };
};

const clip = (text: string, most: number): string =>
  text.length <= most ? text : `${text.slice(0, most - 1)}…`;

/** Rejects when the user wants an end; from then on a second wish ends the demo at once. */
const interruption = (): Promise<never> => {
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  const rejecting = new Promise<never>((_resolve, reject) => {
    const end = (signal: NodeJS.Signals) => {
      for (const name of signals) process.off(name, end);
      reject(Object.assign(new Error(`ended by ${signal}`), { stack: undefined })); // it is nobody's fault
    };
    for (const name of signals) process.on(name, end);
  });
  rejecting.catch(() => undefined); // heard where it is raced, but it may come before
  return rejecting;
};

const began = performance.now();
const say = (line: string) => process.stdout.write(`${line}\n`);
try {
  const agrees = await demo(say, interruption());
  say(
    agrees
      ? `Done in ${((performance.now() - began) / 1000).toFixed(1)} s.`
      : 'The history and the head DISAGREE, or the audit did not find what it should.',
  );
  process.exitCode = agrees ? 0 : 1;
} catch (error) {
  process.stderr.write(`demo: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exitCode = 1;
}
