import type { StreamAppend } from '../../src/commands/event-store.ts';
import type { BoxEvent } from '../../src/events/box-events.ts';
import { boxOptionsSchema } from '../../src/events/box-options.ts';
import type { BoxId } from '../../src/kernel/ids.ts';
import type { Store } from '../../src/store/store.ts';
import { appendRequest, boxAppend, someBoxId } from './append-request.ts';

/** Numbers in [0, 1) that follow from the seed: mulberry32. */
export const randomOf = (seed: number): (() => number) => {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  };
};

const texts = ['plain', 'é\u{1f600}"\\\u2028', '\u0001\t\n\u007f', 'a/b', ''];

/** Appends `count` events to the log, spread over `streams` boxes, several in one append now and then. */
export const appendRandomLog = async (
  store: Pick<Store, 'events'>,
  { seed, streams, count }: { seed: number; streams: number; count: number },
): Promise<readonly BoxId[]> => {
  const random = randomOf(seed);
  const pick = <Item>(items: readonly [Item, ...Item[]]): Item =>
    items[Math.floor(random() * items.length)] ?? items[0];
  const boxes = Array.from({ length: streams }, someBoxId);
  const ends = new Map<BoxId, { readonly version: bigint; readonly hash: string }>();
  const eventsFor = (isFirst: boolean): [BoxEvent, ...BoxEvent[]] => {
    if (isFirst) {
      const labels = { text: pick(['x', 'é\u{1f600}', 'a b']), n: String(random()) };
      return [
        {
          type: 'box.created',
          data: { name: `n-${random().toString(36).slice(2)}`, options: boxOptionsSchema.parse({ labels }) },
        },
      ];
    }
    const one = (): BoxEvent => ({
      type: 'box.healthChanged',
      data: { health: pick(['healthy', 'unhealthy']) },
    });
    return random() < 0.2 ? [one(), one(), one()] : [one()];
  };
  for (let left = count; left > 0; ) {
    const box = left > count - streams ? boxes[count - left] : boxes[Math.floor(random() * streams)];
    if (box === undefined) throw new Error('there is no such box');
    const end = ends.get(box);
    const events = eventsFor(end === undefined);
    const stream: StreamAppend = boxAppend({ box, events, ...(end === undefined ? {} : { after: end }) });
    const request = appendRequest([stream]);
    const reason = random() < 0.3 ? (texts[Math.floor(random() * texts.length)] ?? null) : null;
    const result = await store.events.append({ ...request, provenance: { ...request.provenance, reason } });
    if (result.kind !== 'appended' || result.streams[0] === undefined) throw new Error(result.kind);
    ends.set(box, result.streams[0]);
    left -= events.length;
  }
  return boxes;
};
