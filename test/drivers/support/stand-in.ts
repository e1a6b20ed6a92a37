import { connect } from 'node:net';
import type { Driver } from '../../../src/drivers/driver.ts';
import type { BoxId } from '../../../src/kernel/ids.ts';
import { eventually } from '../../support/eventually.ts';

/** One question to the stand-in agent of a box; waits until it listens. */
export const askAgent = async <Value>(driver: Driver, box: BoxId, expression: string): Promise<Value> => {
  const path = (driver.guestAddress(box) ?? '').replace(/^unix:/, '');
  const line = await eventually(`an answer from ${box}`, () => exchange(path, expression));
  const answer = JSON.parse(line) as { readonly value?: Value; readonly error?: string };
  if (answer.error !== undefined) throw new Error(answer.error);
  return answer.value as Value; // the test knows what it asked for
};

/** Undefined when nobody listens, or nothing was said before the end. */
const exchange = (path: string, expression: string): Promise<string | undefined> =>
  new Promise((resolve) => {
    let said = '';
    const socket = connect(path, () => socket.write(`${expression.replaceAll('\n', ' ')}\n`));
    socket.on('data', (chunk) => {
      said += chunk.toString();
      if (said.endsWith('\n')) socket.end();
    });
    socket.on('error', () => resolve(undefined));
    socket.on('close', () => resolve(said.endsWith('\n') ? said : undefined));
  });
