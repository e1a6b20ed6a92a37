import type { Answer, CommandDoor } from '../commands/door.ts';
import type { BoxView } from '../events/box-view.ts';
import type { DomainEvent, RecordedEvent } from '../events/envelope.ts';

/** What a command has just appended. */
export interface Appended {
  readonly events: readonly RecordedEvent<DomainEvent>[];
  /** The box as they left it; null for other streams. */
  readonly view: BoxView | null;
}

/** The same door, with somebody who hears of what its commands append, before their callers do. `hear` must not throw. */
export const overheardDoor = (door: CommandDoor, hear: (appended: Appended) => void): CommandDoor => ({
  submit: async (command, meta) => {
    const answer: Answer = await door.submit(command, meta);
    // A repeated command is answered with the box as it was then.
    if (answer.kind === 'accepted' && answer.events.length > 0) hear(answer);
    return answer;
  },
});
