import type { CommandDoor } from '../commands/door.ts';
import type { ExecDirectory } from '../commands/event-store.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import { commandId, type HostId } from '../kernel/ids.ts';

const pageSize = 500;

/**
 * Records the end of every exec that was under way when the server died: its program was killed when the connection
 * broke, and nobody saw how it ended. Call it before any exec can be asked for. Returns how many there were.
 */
export const reportLostExecs = async (
  execs: ExecDirectory,
  door: CommandDoor,
  hostId: HostId,
): Promise<number> => {
  let count = 0;
  for (let after = ''; ; ) {
    const page = await execs.open(after, pageSize);
    for (const { execId, tenant } of page) {
      const failure = {
        code: 'Unavailable',
        message: 'the server that ran it ended before the program did',
      } as const;
      const answer = await door.submit(
        { type: 'exec.reportLost', execId, failure },
        {
          tenant,
          actor: { kind: 'system', id: `host/${hostId}` },
          commandId: commandId(`${execId}.exec.reportLost`),
        },
      );
      if (answer.kind === 'refused') throw BoxledgerError.fromRefusal(answer.refusal);
      count += 1;
    }
    if (page.length < pageSize) return count;
    after = page.at(-1)?.execId ?? after;
  }
};
