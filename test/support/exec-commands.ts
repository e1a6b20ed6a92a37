import type { CommandDoor } from '../../src/commands/door.ts';
import type { ExecCommand } from '../../src/events/commands.ts';
import { execSpecSchema } from '../../src/events/exec-events.ts';
import type { BoxId, ExecId } from '../../src/kernel/ids.ts';
import { randomIds } from '../../src/main/random-ids.ts';
import { meta } from './plane.ts';

/** A request for an exec in the first life of a box, with nothing of what is executed in the log. */
export const execRequest = (execId: ExecId, boxId: BoxId): ExecCommand => ({
  type: 'exec.request',
  execId,
  boxId,
  generation: 1,
  spec: execSpecSchema.parse({ command: 'true' }),
  recorded: { program: { kind: 'none' }, env: { kind: 'none' } },
});

/** Asks for an exec; it is in the log afterwards. */
export const requestExec = async (door: CommandDoor, boxId: BoxId): Promise<ExecId> => {
  const execId = randomIds.execId();
  const answer = await door.submit(execRequest(execId, boxId), meta);
  if (answer.kind === 'refused') throw new Error(JSON.stringify(answer.refusal));
  return execId;
};
