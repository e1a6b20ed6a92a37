import pino from 'pino';
import { Door } from '../../src/commands/submit.ts';
import type { Outbox } from '../../src/effects/outbox.ts';
import type { BoxView } from '../../src/events/box-view.ts';
import type { BoxCommand } from '../../src/events/commands.ts';
import { noCrash } from '../../src/kernel/crash-point.ts';
import { type BoxId, defaultTenant, boxId as parseBoxId } from '../../src/kernel/ids.ts';
import { randomIds } from '../../src/main/random-ids.ts';
import { systemClock } from '../../src/main/system-clock.ts';
import { openStore } from '../../src/store/store.ts';
import { eventually } from './eventually.ts';

/**
 * Commands on disks past any server, through a door of the test's own on the same log: they are asked for also while no
 * server can answer, and waited for over its death. The server's sweeper finds what they ask for.
 */
export interface DiskOrders {
  ask(command: BoxCommand): Promise<void>;
  view(boxId: string): Promise<BoxView>;
  /** The box once nothing is done to its disk any more. */
  done(boxId: string, timeoutMs?: number): Promise<BoxView>;
  readonly outbox: Outbox;
  close(): Promise<void>;
}

const meta = { tenant: defaultTenant, actor: { kind: 'user', id: 'tester' } } as const;

export const openDiskOrders = async (databaseUrl: string): Promise<DiskOrders> => {
  const store = await openStore({ databaseUrl, log: pino({ level: 'silent' }) });
  const door = new Door({
    store: store.events,
    log: store.log,
    clock: systemClock,
    ids: randomIds,
    onEffects: () => undefined,
    crash: noCrash,
    keepStates: 1,
  });
  const find = async (boxId: BoxId) => {
    const found = await store.boxes.find(defaultTenant, boxId);
    if (found.kind !== 'found') throw new Error(`${boxId}: ${found.kind}`);
    return found.box.view;
  };
  const view = (boxId: string) => find(parseBoxId(boxId));
  return {
    view,
    outbox: store.outbox,
    ask: async (command) => {
      const answer = await door.submit(command, meta);
      if (answer.kind === 'refused') throw new Error(JSON.stringify(answer.refusal));
      // As if it had waited for long, so that the next sweep takes it.
      await store.pool.query(
        'UPDATE boxledger.effects SET last_enqueued_at = NULL WHERE box_id = $1 AND open',
        [command.boxId],
      );
    },
    done: (boxId, timeoutMs = 60_000) =>
      eventually(
        `what is done to the disk of ${boxId} has ended`,
        async () => {
          const now = await view(boxId);
          return now.operation === null && now;
        },
        timeoutMs,
      ),
    close: () => store.close(),
  };
};
