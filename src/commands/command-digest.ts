import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import type { Command } from '../events/commands.ts';

/**
 * What a caller asked for, as SHA-256 in hexadecimal over canonical JSON: equal for a call and its repetition. Left out is
 * what is found anew each time on the caller's behalf: the id of what is to be made, where a box is placed, which of its starts
 * an exec or copy falls into, and what the log says of an exec; and what is known of a copy only once it has been made.
 */
export const commandDigest = (command: Command): string =>
  createHash('sha256')
    .update(canonicalize(asked(command)) ?? '')
    .digest('hex');

const asked = (command: Command): object => {
  switch (command.type) {
    case 'box.create': {
      const { boxId: _, ...rest } = command;
      return rest;
    }
    case 'box.import': {
      const { boxId: _, placement: _chosen, ...rest } = command;
      return rest;
    }
    case 'box.snapshot': {
      const { snapshotId: _, ...rest } = command;
      return rest;
    }
    case 'box.clone':
      return { ...command, clones: command.clones.map(({ name }) => name) };
    case 'box.export': {
      const { exportId: _, ...rest } = command;
      return rest;
    }
    case 'box.start':
    case 'box.restart': {
      const { placement: _, ...rest } = command;
      return rest;
    }
    case 'exec.request': {
      const { execId: _, generation: _ofTheBox, recorded: _salted, ...rest } = command;
      return rest;
    }
    case 'copy.reportCompleted': {
      const { type, boxId, direction, path } = command;
      return { type, boxId, direction, path };
    }
    default:
      return command;
  }
};
