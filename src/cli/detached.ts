import type { StartExecResponse } from '../gen/boxledger/v1/exec_service.ts';
import type { ExecOptions } from '../sdk/exec.ts';
import { startFailure } from './attach.ts';
import type { Session } from './session.ts';
import { visible } from './visible.ts';

/** Runs a program that nobody is attached to. One that cannot be started fails as it would if somebody were. */
export const startProgram = async (
  { client, signal }: Session,
  boxId: string,
  command: string,
  options: ExecOptions,
): Promise<StartExecResponse> => {
  try {
    return await client.execs.start(boxId, command, { ...options, signal });
  } catch (error) {
    throw startFailure(error);
  }
};

/** The same, and prints the exec. */
export const startDetached = async (
  session: Session,
  boxId: string,
  command: string,
  options: ExecOptions,
): Promise<number> => {
  const { json, output } = session;
  const started = await startProgram(session, boxId, command, options);
  const { execId, pid } = started;
  await (json ? output.json({ execId, boxId: started.boxId, pid }) : output.line(visible(execId)));
  return 0;
};
