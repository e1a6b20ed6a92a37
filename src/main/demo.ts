import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Client, connect } from '../sdk/client.ts';
import { startDemoServer } from './demo-server.ts';
import { liveABoxesLife } from './demo-story.ts';
import { verifyHistory } from './demo-verify.ts';

/** `npm run demo`: a box's whole life on a server of its own, and the proof that its log is all there is to it. */
const demo = async (say: (line: string) => void): Promise<boolean> => {
  const dataDir = await mkdtemp(join(tmpdir(), 'boxledger-demo-'));
  try {
    say(`Starting a server with embedded Postgres and the process driver in ${dataDir}`);
    const server = await startDemoServer(dataDir, process.argv.slice(2));
    const client = connect({ address: server.address, actor: 'demo' });
    const printing = new AbortController();
    const printed = printEvents(client, say, printing.signal);
    try {
      const boxId = await liveABoxesLife(client, say);
      await printed.until(boxId, 'box.removed');
      return await verifyHistory(client, boxId, say);
    } finally {
      printing.abort();
      await printed.ended;
      client.close();
      await server.stop();
    }
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
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
    until: (boxId: string, type: string): Promise<void> => {
      const key = `box/${boxId} ${type}`;
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

const began = performance.now();
const say = (line: string) => process.stdout.write(`${line}\n`);
try {
  const agrees = await demo(say);
  say(
    agrees
      ? `Done in ${((performance.now() - began) / 1000).toFixed(1)} s.`
      : 'The history and the head DISAGREE.',
  );
  process.exitCode = agrees ? 0 : 1;
} catch (error) {
  process.stderr.write(`demo: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exitCode = 1;
}
