import type { Box, Exit } from '../sdk/client.ts';
import { boxJson } from './json-forms.ts';
import { table } from './table.ts';
import { visible } from './visible.ts';

/** `nowMs`: the moment that ages are counted to. */
export const boxTable = (boxes: readonly Box[], nowMs: number): string =>
  table(
    ['BOX ID', 'NAME', 'STATE', 'HEALTH', 'CREATED', 'EXIT', 'LABELS'],
    boxes.map((box) => [
      visible(box.boxId),
      visible(box.name),
      visible(box.state),
      visible(box.health),
      age(box.createdAt, nowMs),
      exitText(box.exit),
      assignments(box.options?.labels, ','),
    ]),
  );

/** Everything that `inspect --json` says, a field a line; what has no value is left out. */
export const boxDetails = (box: Box): string => fieldLines(boxJson(box));

export const fieldLines = (value: object): string => lines(value, '').join('\n');

const lines = (value: object, indent: string): string[] =>
  Object.entries(value).flatMap(([key, field]: [string, unknown]) => {
    if (field === null || field === undefined) return [];
    const label = `${indent}${visible(key)}:`;
    if (typeof field !== 'object') return [`${label} ${visible(String(field))}`];
    const inner = lines(field, `${indent}  `);
    return inner.length === 0 ? [] : [label, ...inner];
  });

/** `0`, `SIGKILL`, `?` where nobody saw it, empty where nothing ended. */
export const exitText = (exit: Exit | undefined): string => {
  switch (exit?.how?.$case) {
    case 'code':
      return String(exit.how.value);
    case 'signal':
      return visible(exit.how.value);
    case 'unknown':
      return '?';
    default:
      return '';
  }
};

const assignments = (entries: Readonly<Record<string, string>> | undefined, separator: string) =>
  visible(
    Object.entries(entries ?? {})
      .map(([key, value]) => (value === '' ? key : `${key}=${value}`))
      .join(separator),
  );

const spans = [
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60],
  ['second', 1],
] as const;

export const age = (moment: Date | undefined, nowMs: number): string => {
  if (moment === undefined) return '';
  const seconds = Math.max(0, Math.floor((nowMs - moment.getTime()) / 1000));
  for (const [unit, length] of spans) {
    const count = Math.floor(seconds / length);
    if (count > 0) return `${count} ${unit}${count === 1 ? '' : 's'} ago`;
  }
  return 'just now';
};
