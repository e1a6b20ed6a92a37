import type { Refusal } from '../kernel/errors.ts';
import type { CommandId, StreamId, Version } from '../kernel/ids.ts';

export const versionRefusal = (streamId: StreamId, actual: Version, expected: Version): Refusal => ({
  code: 'Conflict',
  message: `${streamId} is at version ${actual}, not at ${expected}`,
  help: 'Read it again, and repeat the call with its present version or without one.',
  details: { streamId, expectedVersion: Number(expected), actualVersion: Number(actual) },
});

export const reusedRefusal = (commandId: CommandId): Refusal => ({
  code: 'Conflict',
  message: `command id ${commandId} was used before for another request`,
  help: 'Use a new command id for each request, and the same one only to repeat it.',
  details: { commandId },
});

export const nameRefusal = (name: string): Refusal => ({
  code: 'AlreadyExists',
  message: `there is a box named ${name} already`,
  help: 'Choose another name, remove that box, or ask to get it if it exists.',
  details: { name },
});

export const claimRefusal: Refusal = {
  code: 'Conflict',
  message: 'the effect is not claimed by this attempt any more',
  help: 'Nothing to do: another attempt, a cancellation or the deadline has settled it.',
  details: { stale: true },
};
