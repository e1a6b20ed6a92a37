import type { ExecInfo } from '../sdk/execs.ts';
import { age, exitText } from './render-box.ts';
import { table } from './table.ts';
import { visible } from './visible.ts';

/** `nowMs`: the moment that ages are counted to. */
export const execTable = (execs: readonly ExecInfo[], nowMs: number): string =>
  table(
    ['EXEC ID', 'STATE', 'REQUESTED', 'EXIT', 'USER', 'COMMAND'],
    execs.map((exec) => [
      visible(exec.execId),
      visible(exec.state),
      age(exec.requestedAt, nowMs),
      exitText(exec.exited?.exit),
      visible(exec.user ?? ''),
      commandText(exec),
    ]),
  );

const commandMaxLength = 60;

/** What the log does not say is a dash. */
const commandText = ({ program }: ExecInfo): string => {
  if (program === undefined) return '-';
  const text = visible([program.command, ...program.args].join(' '));
  return text.length <= commandMaxLength ? text : `${text.slice(0, commandMaxLength - 1)}…`;
};
