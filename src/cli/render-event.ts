import type { Event } from '../sdk/client.ts';
import { visible } from './visible.ts';

/** One line: when, where, what, who, why, and the event's data as JSON. */
export const eventLine = (event: Event): string =>
  [
    event.occurredAt?.toISOString() ?? '-',
    `${event.streamId}@${event.version}`,
    event.type,
    `by ${event.actor?.kind ?? '?'}:${event.actor?.id ?? '?'}`,
    ...(event.reason === undefined ? [] : [`because ${JSON.stringify(event.reason)}`]),
    ...(event.dataJson === '{}' ? [] : [event.dataJson]),
  ]
    .map(visible)
    .join('  ');
