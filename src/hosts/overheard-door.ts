import type { Answer, CommandDoor } from '../commands/door.ts';
import type { BoxView } from '../events/box-view.ts';
import type { Command } from '../events/commands.ts';
import type { DomainEvent, RecordedEvent } from '../events/envelope.ts';
import type { Version } from '../kernel/ids.ts';

/** What a command has just appended. */
export interface Appended {
  readonly events: readonly RecordedEvent<DomainEvent>[];
  /** Of the command's stream. */
  readonly version: Version;
  /** The box at that version; null for other streams. */
  readonly view: BoxView | null;
}

/** A command that had been carried out before: nobody here may have heard of what it appended then. */
export interface Missed {
  readonly command: Command;
  /** The box as it was then; null for other streams. */
  readonly view: BoxView | null;
}

/** Somebody who is told before the command's caller is. Neither may throw. */
export interface Overhearing {
  hear(appended: Appended): void;
  missed(missed: Missed): void;
}

/** The same door, with somebody who hears of what its commands append. */
export const overheardDoor = (door: CommandDoor, { hear, missed }: Overhearing): CommandDoor => ({
  submit: async (command, meta) => {
    const answer: Answer = await door.submit(command, meta);
    if (answer.kind !== 'accepted') return answer;
    // No acceptance is without events but a repeated one: the answer to the first was lost after its commit.
    if (answer.events.length > 0) hear(answer);
    else missed({ command, view: answer.view });
    return answer;
  },
});
