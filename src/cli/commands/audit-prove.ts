import { Command } from 'commander';
import { checkProof, proofText, readProof } from '../../audit/proof.ts';
import { proveEvent } from '../../audit/prove-event.ts';
import { keyRingOf, textOf, withSource, writeTo } from '../audit-run.ts';
import { exitCodes } from '../exit-codes.ts';
import { FlagFaults } from '../flag-values.ts';
import { repeatable, streamNames, withExamples } from '../flags.ts';
import type { CliIo } from '../io.ts';
import type { ServeFlags } from '../serve-options.ts';
import type { ServerCommands } from '../server-commands.ts';
import { inRun, type Run } from '../session.ts';
import { visible } from '../visible.ts';
import { addDatabaseFlags } from './serve.ts';

interface ProveFlags extends ServeFlags {
  readonly out?: string;
}

export const auditProveCommand = (io: CliIo, server: ServerCommands): Command =>
  withExamples(
    addDatabaseFlags(
      new Command('prove')
        .description('write the proof that an event was in the log when a checkpoint was signed')
        .argument('<box>', `its name or id, or a stream: ${streamNames}`)
        .argument('<version>', 'of the event in the stream: 1, 2, …')
        .option('-o, --out <file>', 'file to write (else standard output)'),
    ).action((box: string, version: string, flags: ProveFlags) =>
      inRun(io, flags.json === true, async (run) => {
        const faults = new FlagFaults();
        if (!/^[1-9]\d{0,15}$/.test(version)) faults.add('version', 'must be a whole number, 1 or more');
        faults.check('audit prove');
        await withSource(io, server, flags, async (source) => {
          const proof = await proveEvent(source, await source.findStream(box), version);
          await writeTo(run, flags.out, [proofText(proof)]);
        });
        return 0;
      }),
    ),
    'boxledger audit prove web 3 --out proof.json',
  );

interface CheckFlags {
  readonly key?: readonly string[];
  readonly json?: boolean;
}

export const auditCheckProofCommand = (io: CliIo): Command =>
  withExamples(
    new Command('check-proof')
      .description('check such a proof, without a database; exit 1 if it proves nothing')
      .argument('<file>', 'the proof')
      .requiredOption('--key <file>', 'public key to trust; repeatable', repeatable)
      .option('--json', 'print JSON')
      .action((file: string, flags: CheckFlags) =>
        inRun(io, flags.json === true, (run) => checkProofFile(run, file, flags)),
      ),
    'boxledger audit check-proof proof.json --key operator.pub',
  );

const checkProofFile = async ({ io, json, output }: Run, file: string, { key = [] }: CheckFlags) => {
  const keys = await keyRingOf(io, key);
  const proof = readProof((await textOf(io, file)).trim(), file);
  const { streamId, version } = proof.event;
  const result = keys === undefined ? 'no key is given' : checkProof(proof, keys);
  const isProven = typeof result !== 'string';
  if (json)
    await output.json({
      ok: isProven,
      streamId,
      version: Number(version),
      checkpoint: isProven ? { ...result } : null,
      problem: isProven ? null : result,
    });
  else if (isProven)
    await output.line(
      visible(
        `OK: ${streamId} version ${version} was in the log that key ${result.keyId} signed at ${result.time}.`,
      ),
    );
  else await output.line(visible(`NOT OK: ${streamId} version ${version}: ${result}.`));
  return isProven ? 0 : exitCodes.findings;
};
