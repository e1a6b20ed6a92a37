import { describe, expect, test } from 'vitest';
import { textOf } from './sources.ts';

const elsewhere = 'test/faults/went-wrong-elsewhere.test.ts';
const withDisks = 'test/faults/went-wrong-with-disks.test.ts';
const ends = 'test/faults/box-ends.test.ts';

/** What went wrong in systems of this kind, as docs/box-lifecycle.md numbers it, and the tests by name that it does not here. */
const wentWrong: readonly [number: number, what: string, tests: readonly [file: string, title: string][]][] =
  [
    [
      1,
      'the stop of a paused box skipped the teardown',
      [[elsewhere, '1: the stop of a paused box takes all of it down']],
    ],
    [
      2,
      'a freeze outlived the crash of whoever held it',
      [
        [elsewhere, '2: a freeze whose holder was killed is either recorded as a pause, or undone'],
        ['test/faults/disk-crash-points.test.ts', 'the next one ends it, and leaves nothing half done'],
        [
          'test/faults/disk-operations.test.ts',
          'the box is let go at once, and the outcome told when Postgres is back',
        ],
      ],
    ],
    [
      3,
      'a pid that had been reused was signalled',
      [[elsewhere, '3: a pid that was used again is not signalled']],
    ],
    [
      4,
      'the retry of a failed boot overwrote the disk',
      [[elsewhere, '4: a boot that failed, and its repetition, keep what']],
    ],
    [5, 'a failure was written over by the live object', [[elsewhere, '5: a failure stays what the box is']]],
    [
      6,
      'start reported success too early',
      [[elsewhere, '6: whenever a start is answered, the box can run programs']],
    ],
    [
      7,
      'an error while attaching skipped the kill',
      [[elsewhere, '7: a box whose guest cannot be reached is stopped all the same']],
    ],
    [
      8,
      'the stop of a box that never ran deleted it',
      [[elsewhere, '8: the stop of a box that never ran changes nothing']],
    ],
    [
      9,
      'a shutdown timed out and killed nobody',
      [[elsewhere, '9: a shutdown that nobody heeds in time ends in a kill']],
    ],
    [
      10,
      'unhealthy ended probing for ever',
      [
        [
          'test/machines/box/health-and-pause.test.ts',
          'is heard of also after it was found to be bad: unhealthy is no end',
        ],
      ],
    ],
    [11, 'a box that exited by itself raised no event', [[ends, 'a box of which %s (11, 16)']]],
    [
      12,
      'a restore removed the old disk before the new one existed',
      [
        [withDisks, '12: a restore that is killed leaves the old disk or the new one'],
        ['test/drivers/process/disk-crash.test.ts', 'is made good when it is asked for again'],
      ],
    ],
    [
      13,
      'a batch of clones that failed half-way left boxes behind',
      [
        [withDisks, '13: a batch of clones that fails half-way leaves no box and no disk'],
        ['test/commands/clones.test.ts', 'fails the clone: nothing of any of them is in the log'],
        ['test/hosts/disk-handlers.test.ts', 'a clone that cannot be made takes those with it that could'],
      ],
    ],
    [
      14,
      'an export wrote secrets in clear',
      [[withDisks, '14: an export carries no value of the environment']],
    ],
    [
      15,
      'an empty checksum passed verification',
      [
        ['test/contract/driver-disks.ts', 'no archive with anything wrong in it makes a box'],
        ['test/drivers/support/hostile-archives.ts', 'an empty checksum'],
      ],
    ],
    [16, 'the same crash was two things', [[ends, 'has exited just so when its server comes back']]],
    [
      17,
      'a short lock expired under a slow job',
      [
        [elsewhere, '17, 18: whoever takes over an effect whose lease ran out fences off the one before'],
        ['test/faults/disk-operations.test.ts', 'is fenced off; the snapshot is made once'],
      ],
    ],
    [
      18,
      "a queue's stalled job ran twice",
      [[elsewhere, '17, 18: whoever takes over an effect whose lease ran out']],
    ],
    [
      19,
      'a create repeated after a time-out made two boxes',
      [[elsewhere, '19: a create that is repeated after a time-out']],
    ],
    [
      20,
      // There is one host a data directory as yet, so only that far: an earlier life of a host that lives on does nothing any more.
      'a host wrongly thought dead had its boxes started elsewhere',
      [
        [
          'test/effects/runner-claims.test.ts',
          'an epoch of a host that has joined again since claims nothing',
        ],
        [
          'test/hosts/reconcile.test.ts',
          'a box that is placed on another host is ended here, and its disk left alone',
        ],
        ['test/faults/random-kills.test.ts', 'boxes live loses and doubles nothing'],
      ],
    ],
  ];

test('each of the twenty has a test by name', () => {
  expect(wentWrong.map(([number]) => number)).toEqual(Array.from({ length: 20 }, (_, index) => index + 1));
  for (const [, , tests] of wentWrong) expect(tests.length).toBeGreaterThan(0);
});

describe.each(wentWrong)('%d: %s', (_number, _what, tests) => {
  test.each(tests)('%s: %s', (file, title) => {
    expect(textOf(file)).toContain(title);
  });
});
