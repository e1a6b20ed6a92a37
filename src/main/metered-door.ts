import type { Answer, CommandDoor } from '../commands/door.ts';
import type { Command } from '../events/commands.ts';

/**
 * Told of each command when it is over, after its commit. `answer`: undefined when the world misbehaved, and nobody knows
 * whether it was carried out. Must neither throw nor wait.
 */
export type AnswerObserver = (command: Command, answer: Answer | undefined, durationMs: number) => void;

/** The same door, with somebody who counts beside it. */
export const meteredDoor = (door: CommandDoor, observe: AnswerObserver): CommandDoor => ({
  submit: async (command, meta) => {
    const beganAtMs = performance.now();
    let answer: Answer | undefined;
    try {
      answer = await door.submit(command, meta);
      return answer;
    } finally {
      observe(command, answer, performance.now() - beganAtMs);
    }
  },
});
