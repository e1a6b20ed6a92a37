import type { ExecResponse } from '../gen/boxledger/v1/box_service.ts';
import type { ExecOutput } from '../guest/guest.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import type { ApiDeps } from './api-deps.ts';
import type { CallScope } from './call-scope.ts';
import { startExec } from './exec-start.ts';
import { fault, feed, relay } from './exec-streams.ts';
import type { ExecParsed } from './requests.ts';

/** Runs a program in a box, with its caller attached. */
export const exec = (deps: ApiDeps) =>
  async function* (
    requests: AsyncGenerator<ExecParsed, void>,
    scope: CallScope,
  ): AsyncGenerator<ExecResponse> {
    const first = await requests.next();
    const start = first.done === true ? undefined : first.value.start;
    if (start === undefined) throw fault('start', 'must be the first request');
    const attached = new AbortController();
    const { names, result } = await startExec(deps, start, scope, async (guest, asked, starting) => {
      const signal = AbortSignal.any([starting, attached.signal]);
      const run = guest.exec(asked.execId, asked.spec, asked.defaults, signal);
      const outputs = run[Symbol.asyncIterator]();
      const started = await outputs.next();
      if (started.done === true || started.value.kind !== 'started')
        throw new BoxledgerError('Unavailable', 'The guest ended the call without a start.');
      return { pid: started.value.pid, result: { run, outputs: prepended(started.value, outputs) } };
    });
    const signal = AbortSignal.any([scope.signal, attached.signal]);
    const detach = () => attached.abort(signal.reason);
    signal.addEventListener('abort', detach, { once: true });
    if (signal.aborted) detach();
    void feed(result.run, requests, attached, true);
    try {
      yield* relay(deps, result.outputs, names, signal);
    } finally {
      attached.abort();
    }
  };

async function* prepended(first: ExecOutput, rest: AsyncIterator<ExecOutput>): AsyncGenerator<ExecOutput> {
  yield first;
  yield* { [Symbol.asyncIterator]: () => rest };
}
