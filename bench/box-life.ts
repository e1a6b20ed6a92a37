import type { CommandDoor } from '../src/commands/door.ts';
import type { Placement } from '../src/events/box-events.ts';
import { boxOptionsSchema } from '../src/events/box-options.ts';
import type { BoxStateName } from '../src/events/box-view.ts';
import type { BoxCommand } from '../src/events/commands.ts';
import { BoxledgerError } from '../src/kernel/errors.ts';
import { type BoxId, defaultTenant } from '../src/kernel/ids.ts';
import type { IdSource } from '../src/kernel/ports.ts';
import type { Operation } from './callers.ts';

/** A whole control plane with the `sim` driver: everything is real but the boxes. */
export interface Plane {
  readonly door: CommandDoor;
  readonly ids: IdSource;
  /** The plane's one host. */
  readonly placement: Placement;
  /** Resolves once the box is in the state; rejects when it has failed instead. */
  waitForState(boxId: BoxId, state: BoxStateName): Promise<void>;
}

/** One operation: a box is created, started until it runs, and stopped until it has stopped. */
export const prepareBoxLife = ({ door, ids, placement, waitForState }: Plane): Operation => {
  const submit = async (command: BoxCommand) => {
    const answer = await door.submit(command, {
      tenant: defaultTenant,
      actor: { kind: 'system', id: 'bench' },
      commandId: ids.commandId(),
    });
    if (answer.kind === 'refused') throw BoxledgerError.fromRefusal(answer.refusal);
  };
  return async () => {
    const boxId = ids.boxId();
    const options = boxOptionsSchema.parse({ network: 'none' });
    await submit({ type: 'box.create', boxId, name: boxId.replace('_', '-'), options });

    const start = performance.now();
    await submit({ type: 'box.start', boxId, placement });
    await waitForState(boxId, 'running');
    const running = performance.now();
    await submit({ type: 'box.stop', boxId });
    await waitForState(boxId, 'stopped');
    const stopped = performance.now();

    return { 'start → running': running - start, 'stop → stopped': stopped - running };
  };
};
