import { expect, test } from 'vitest';
import { aggregateForCommand, aggregateForStream } from '../../src/commands/aggregates.ts';
import type { Command } from '../../src/events/commands.ts';
import { BrokenInvariant } from '../../src/kernel/assert.ts';
import { boxId, copyId, execId, hostId, type StreamId } from '../../src/kernel/ids.ts';

const commands: readonly Command[] = [
  { type: 'box.stop', boxId: boxId('bx_0123456789abcdef') },
  { type: 'exec.reportStarted', execId: execId('ex_0123456789abcdef'), pid: 1 },
  {
    type: 'copy.reportFailed',
    copyId: copyId('cp_0123456789abcdef'),
    boxId: boxId('bx_0123456789abcdef'),
    generation: 1,
    direction: 'in',
    path: '/srv',
    failure: { code: 'NotFound', message: '' },
    durationMs: 1,
  },
  { type: 'host.leave', hostId: hostId('hs_0123456789abcdef'), epoch: 1 },
];

test.each(commands)('the aggregate of $type is that of the stream it goes to', (command) => {
  const aggregate = aggregateForCommand(command);
  expect(aggregateForStream(aggregate.streamOf(command))).toBe(aggregate);
  expect(command.type.startsWith(`${aggregate.category}.`)).toBe(true);
});

test('a stream of no known category has no aggregate', () => {
  for (const stream of ['toString/bx_0123456789abcdef', 'nothing'])
    expect(() => aggregateForStream(stream as StreamId)).toThrow(BrokenInvariant); // past the parser on purpose
});

test('aggregates have definitions of their own', () => {
  expect(new Set(commands.map((command) => aggregateForCommand(command).definition)).size).toBe(4);
});
