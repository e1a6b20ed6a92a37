import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from 'commander';
import { BoxledgerError } from '../../kernel/errors.ts';
import type { BoxMetrics } from '../../sdk/client.ts';
import { reportFailure } from '../failure.ts';
import { secondsValue } from '../flag-values.ts';
import { addConnectionFlags, withExamples } from '../flags.ts';
import type { CliIo } from '../io.ts';
import {
  metricsJson,
  metricsLine,
  metricsTable,
  serviceMetricsJson,
  serviceMetricsText,
} from '../render-metrics.ts';
import { type ConnectionFlags, inSession, type Session } from '../session.ts';

interface StatsFlags extends ConnectionFlags {
  readonly all?: boolean;
  readonly follow?: boolean;
  readonly interval?: string;
  readonly service?: boolean;
}

export const statsCommand = (io: CliIo): Command => {
  const command = new Command('stats')
    .description(
      'what boxes use: processor, memory, disk, processes; --json also the stages of their last start',
    )
    .argument('[box...]', 'names, ids or prefixes (default: those that are up)')
    .option('-a, --all', 'also boxes that do not run, with what they last used')
    .option(
      '-f, --follow',
      'again and again until Ctrl-C: one screen on a terminal, else a line for each box',
    )
    .option('--interval <seconds>', 'time between two looks with --follow (default 1)')
    .option(
      '--service',
      'the service instead: boxes by state, and what this server has counted since its start',
    );
  addConnectionFlags(command).action((boxes: string[], flags: StatsFlags) => stats(io, boxes, flags));
  return withExamples(
    command,
    'boxledger stats',
    'boxledger stats web --follow',
    'boxledger stats --service',
  );
};

const defaultIntervalMs = 1_000;
const intervalMinMs = 100;

const stats = (io: CliIo, boxes: readonly string[], flags: StatsFlags) =>
  inSession(io, flags, {
    name: 'stats',
    read: (faults) => {
      if (flags.service === true && boxes.length > 0) faults.add('--service', 'cannot be had with a box');
      if (flags.all === true && boxes.length > 0) faults.add('--all', 'cannot be had with a box');
      if (flags.interval !== undefined && flags.follow !== true)
        faults.add('--interval', 'is for --follow only');
      const intervalMs = secondsValue(faults, '--interval', flags.interval) ?? defaultIntervalMs;
      return { intervalMs: Math.max(intervalMinMs, intervalMs) };
    },
    work: async (session, { intervalMs }) => {
      const { signal } = session;
      const show = flags.service === true ? showService : showBoxes;
      for (let round = 0; ; round += 1) {
        const code = await show(session, { boxes, flags, isFirst: round === 0 });
        if (flags.follow !== true || code !== 0) return code;
        await sleep(intervalMs, undefined, { signal }).catch(() => signal.throwIfAborted());
      }
    },
  });

interface Round {
  readonly boxes: readonly string[];
  readonly flags: StatsFlags;
  readonly isFirst: boolean;
}

const showService = async (session: Session, { flags, isFirst }: Round): Promise<number> => {
  const { client, signal, json, output } = session;
  const service = await client.serviceMetrics({ signal });
  if (json) await output.json(serviceMetricsJson(service));
  else await showScreen(session, serviceMetricsText(service), flags, isFirst);
  return 0;
};

const showBoxes = async (session: Session, round: Round): Promise<number> => {
  const { json, output, io } = session;
  const { boxes, flags, isFirst } = round;
  const { found, code } = await look(session, boxes, flags.all === true);
  if (found.length === 0 && code !== 0) return code;
  if (json) for (const box of found) await output.json(metricsJson(box));
  else if (flags.follow === true && io.stdout.isTTY !== true)
    for (const box of found) await output.line(metricsLine(box));
  else await showScreen(session, metricsTable(found), flags, isFirst);
  return code;
};

const upStates = ['running', 'pausing', 'paused', 'resuming', 'stopping'];
const atOnce = 32;

/** A box that is named has to be there; one of a list may go meanwhile. */
const look = async (session: Session, named: readonly string[], all: boolean) => {
  const { client, signal, io, json } = session;
  const references = [...named];
  if (named.length === 0)
    for await (const box of client.list({ ...(all ? {} : { states: upStates }), signal }))
      references.push(box.boxId);
  const found: BoxMetrics[] = [];
  let code = 0;
  for (let start = 0; start < references.length; start += atOnce) {
    const answers = await Promise.allSettled(
      references.slice(start, start + atOnce).map((box) => client.metrics(box, { signal })),
    );
    signal.throwIfAborted();
    for (const answer of answers) {
      if (answer.status === 'fulfilled') found.push(answer.value);
      else if (named.length > 0) code = reportFailure(io, answer.reason, json);
      else if (!isGone(answer.reason)) throw answer.reason;
    }
  }
  return { found, code };
};

const isGone = (error: unknown) => error instanceof BoxledgerError && error.code === 'NotFound';

const clear = '\x1b[2J';
const home = '\x1b[H';
const clearLine = '\x1b[K';
const clearBelow = '\x1b[J';

/** With --follow each picture is drawn over the one before, line by line, so that nothing flickers. */
const showScreen = async (
  { io: { stdout }, output }: Session,
  text: string,
  flags: StatsFlags,
  isFirst: boolean,
): Promise<void> => {
  if (flags.follow !== true || stdout.isTTY !== true) return output.line(text);
  const [rows, columns] = [stdout.rows || 24, stdout.columns || 80];
  const lines = text
    .split('\n')
    .slice(0, rows - 1)
    .map((line) => `${[...line].slice(0, columns).join('')}${clearLine}\n`);
  await output.bytes('stdout', `${isFirst ? clear : ''}${home}${lines.join('')}${clearBelow}`);
};
