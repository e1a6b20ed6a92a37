import type { HostCommand } from '../../events/commands.ts';
import type { HostEvent } from '../../events/host-events.ts';
import { assert } from '../../kernel/assert.ts';
import type { Refusal } from '../../kernel/errors.ts';
import { type HostId, hostStream } from '../../kernel/ids.ts';
import type { Aggregate } from '../aggregate.ts';
import { accepted, emptyDraft, evolved, propose } from '../chart.ts';
import { alreadySo, type Decision, type DecisionContext, refused } from '../decision.ts';
import { type HostState, hostDefinition, persistHost, restoreHost, takeHostEvent } from './host-machine.ts';

const decide = (
  state: HostState | undefined,
  command: HostCommand,
  context: DecisionContext,
): Decision<HostState, HostEvent> => {
  const { hostId } = command;
  if (state !== undefined && state.context.tenant !== context.tenant) return refused(noSuchHost(hostId));
  const draft = emptyDraft<HostState, HostEvent>(state, hostStream(hostId), context);
  switch (command.type) {
    case 'host.join': {
      const { hostname, driver, capacity } = command;
      const epoch = (state?.context.epoch ?? 0) + 1;
      const joined = propose(takeHostEvent, draft, {
        type: 'host.joined',
        data: { epoch, hostname, driver, capacity },
      });
      assert(joined, 'a host can join whatever it was before');
      return accepted(joined);
    }
    case 'host.leave': {
      if (state === undefined) return refused(noSuchHost(hostId));
      const { epoch } = command;
      const left = propose(takeHostEvent, draft, { type: 'host.left', data: { epoch } });
      if (left) return accepted(left);
      return epoch === state.context.epoch ? alreadySo : refused(otherEpoch(hostId, state, epoch));
    }
    default:
      return command satisfies never;
  }
};

const noSuchHost = (hostId: HostId): Refusal => ({
  code: 'NotFound',
  message: `there is no host ${hostId}`,
  details: { hostId },
});

const otherEpoch = (hostId: HostId, { context }: HostState, told: number): Refusal => ({
  code: 'Conflict',
  message: `host ${hostId} is in epoch ${context.epoch}; epoch ${told} is not heard`,
  help: 'Nothing needs to be done: the host has joined again since.',
  details: { stale: true, hostId, epoch: context.epoch, told },
});

export const hostAggregate: Aggregate<HostState, HostCommand, HostEvent> = {
  category: 'host',
  definition: hostDefinition,
  streamOf: ({ hostId }) => hostStream(hostId),
  decide,
  evolve: (state, event) => evolved(takeHostEvent(state, event), event),
  persist: persistHost,
  restore: restoreHost,
  view: () => null,
};
