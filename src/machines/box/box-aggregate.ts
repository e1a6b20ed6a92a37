import type { BoxEvent } from '../../events/box-events.ts';
import type { BoxCommand } from '../../events/commands.ts';
import { boxStream } from '../../kernel/ids.ts';
import type { Aggregate } from '../aggregate.ts';
import { evolved } from '../chart.ts';
import {
  type BoxState,
  boxDefinition,
  persistBox,
  restoreBox,
  takeBoxEvent,
  viewOfBox,
} from './box-state.ts';
import { decideBox } from './decide-box.ts';

export const boxAggregate: Aggregate<BoxState, BoxCommand, BoxEvent> = {
  category: 'box',
  definition: boxDefinition,
  streamOf: ({ boxId }) => boxStream(boxId),
  decide: decideBox,
  evolve: (state, event) => evolved(takeBoxEvent(state, event), event),
  persist: persistBox,
  restore: restoreBox,
  view: viewOfBox,
};
