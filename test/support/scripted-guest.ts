import { once } from 'node:events';
import type { Guest } from '../../src/guest/guest.ts';
import { BoxledgerError } from '../../src/kernel/errors.ts';

const notScripted = () => {
  throw new Error('not scripted');
};

/** Something that never answers, but for its signal. */
export const never = async (signal: AbortSignal): Promise<never> => {
  if (!signal.aborted) await once(signal, 'abort');
  throw signal.reason;
};

export const unavailable = () => new BoxledgerError('Unavailable', 'the guest does not answer');

/** The inside of a box, in the test's hands: it does what the script says, and records what it was asked. */
export const scriptedGuest = (script: Partial<Guest> = {}): Guest & { readonly asked: string[] } => {
  const asked: string[] = [];
  const recorded = <Name extends 'ping' | 'shutdown' | 'quiesce' | 'thaw'>(name: Name, answer: Guest[Name]) =>
    ((signal: AbortSignal) => {
      asked.push(name);
      return (script[name] ?? answer)(signal);
    }) as Guest[Name]; // one signature for four methods that differ in what they resolve with
  return {
    asked,
    ping: recorded('ping', async () => ({ agentVersion: '0', pid: 1, hostname: 'box' })),
    attachDisk: notScripted,
    configure: script.configure ?? notScripted,
    shutdown: recorded('shutdown', async () => undefined),
    quiesce: recorded('quiesce', async () => ({ frozen: true, detail: '' })),
    thaw: recorded('thaw', async () => undefined),
    exec: script.exec ?? notScripted,
    startExec: script.startExec ?? notScripted,
    attachExec: script.attachExec ?? notScripted,
    inspectExec: script.inspectExec ?? notScripted,
    waitExec: script.waitExec ?? notScripted,
    signalExec: script.signalExec ?? notScripted,
    upload: notScripted,
    download: notScripted,
    close: () => asked.push('close'),
  };
};
