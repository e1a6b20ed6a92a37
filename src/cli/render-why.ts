import type { ChainLink, WhyResponse } from '../sdk/history.ts';
import { visible } from './visible.ts';

/** Deeper than this a chain is not indented further: retries of retries would leave the page. */
const indentMax = 24;

/** A chain, a link a line: the time, how long after the beginning, and what, indented under what led to it. */
export const whyText = ({ event, alreadySo, links, cutShort }: WhyResponse): string => {
  const times = links.map(({ node }) => timeOf(node)).filter((time) => time !== undefined);
  const beganMs = Math.min(...times.map((time) => time.getTime()));
  const lines = links.map((link) => {
    const isAsked = link.node?.$case === 'event' && link.node.value.hash === event?.hash;
    const indent = '  '.repeat(Math.min(link.depth, indentMax));
    const time = timeOf(link.node);
    const clock = time === undefined ? '' : time.toISOString().slice(11, 23);
    const after = time === undefined ? '' : durationText(time.getTime() - beganMs);
    return `${clock.padEnd(12)}  ${after.padStart(9)}  ${indent}${link.depth > 0 ? '└ ' : ''}${nodeText(link.node)}${isAsked ? '  ◀' : ''}`;
  });
  return [
    `${visible(event?.type ?? '?')}, version ${event?.version ?? '?'} of ${visible(event?.streamId ?? '?')}, at ${event?.occurredAt?.toISOString() ?? '?'}`,
    ...(alreadySo ? ['The command changed nothing: this had made it so already.'] : []),
    ...lines,
    ...(cutShort ? ['… and more than fits'] : []),
  ].join('\n');
};

const timeOf = (node: ChainLink['node']): Date | undefined => {
  switch (node?.$case) {
    case 'ask':
      return node.value.at;
    case 'event':
      return node.value.occurredAt;
    case 'attempt':
      return node.value.endedAt;
    default:
      return undefined;
  }
};

const nodeText = (node: ChainLink['node']): string => {
  switch (node?.$case) {
    case 'ask': {
      const { actor, commandId, reason, causationId } = node.value;
      const why = reason === undefined ? '' : `, because ${JSON.stringify(reason)}`;
      const cause = causationId === undefined ? '' : `, caused by ${causationId}`;
      return visible(`${actor?.id ?? '?'} asked${why}${cause}  [${commandId}]`);
    }
    case 'event':
      return visible(
        `${node.value.type}  ${node.value.streamId}@${node.value.version}${endingText(node.value.dataJson)}`,
      );
    case 'effect': {
      const { kind, hostId, state, attempts, lastErrorJson } = node.value;
      const on = hostId === undefined ? '' : ` on ${hostId}`;
      const how =
        state === undefined ? '' : `: ${state} after ${attempts ?? 0} attempt${attempts === 1 ? '' : 's'}`;
      return visible(
        `${kind}${on}${how}${lastErrorJson === undefined ? '' : `, last error ${lastErrorJson}`}`,
      );
    }
    case 'attempt':
      return visible(`attempt ${node.value.number} by ${node.value.actor?.id ?? '?'} ended`);
    default:
      return '?';
  }
};

/** Of an event's data only what says how something ended. */
const endingText = (dataJson: string): string => {
  const data: unknown = JSON.parse(dataJson);
  if (typeof data !== 'object' || data === null) return '';
  const said = ['failure', 'exit', 'manner', 'durationMs']
    .filter((key) => key in data)
    .map((key) => `${key} ${JSON.stringify(Reflect.get(data, key))}`);
  return said.length === 0 ? '' : `  ${said.join(', ')}`;
};

/** `+0 ms`, `+1.20 s`, `+3.5 min`; with a minus where a clock stepped back. */
const durationText = (ms: number): string => {
  const size = Math.abs(ms);
  const sign = ms < 0 ? '-' : '+';
  if (size < 1000) return `${sign}${size} ms`;
  if (size < 60_000) return `${sign}${(size / 1000).toFixed(2)} s`;
  return size < 3_600_000
    ? `${sign}${(size / 60_000).toFixed(1)} min`
    : `${sign}${(size / 3_600_000).toFixed(1)} h`;
};
