import type { CallOptions as GrpcCallOptions, Metadata } from '@grpc/grpc-js';
import type { OperationProgress } from '../gen/boxledger/v1/disk_service.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import { type ChangeOptions, type Channel, repeated } from './channel.ts';
import { messagesOf } from './streams.ts';

export interface OperationOptions extends ChangeOptions {
  /** How far the work is. `totalBytes` is undefined where it is not known; it may begin anew. */
  readonly onProgress?: ((bytes: number, totalBytes: number | undefined) => void) | undefined;
}

export const tell = ({ onProgress }: OperationOptions, { bytes, totalBytes }: OperationProgress): void =>
  onProgress?.(Number(bytes), totalBytes === undefined ? undefined : Number(totalBytes));

/** A message of a stream that says how far it is, and then, once, what came of it. */
type Message = { readonly $case: string; readonly value: unknown };
type ProgressCase = { readonly $case: 'progress'; readonly value: OperationProgress };
type Ended<Response extends { message?: Message | undefined }, Case extends string> = Extract<
  Response['message'],
  { $case: Case }
>['value'];

type OpenCall<Response> = (
  metadata: Metadata,
  options: GrpcCallOptions,
) => Parameters<typeof messagesOf<Response>>[1];

/** Follows an operation to its end. Under its command id the call is repeated, as one with one answer is. */
export const operation = <
  Response extends { message?: ProgressCase | Message | undefined },
  Case extends string,
>(
  channel: Channel,
  options: OperationOptions,
  end: Case,
  open: OpenCall<Response>,
): Promise<Ended<Response, Case>> =>
  repeated(channel, options, async (deadline) => {
    for await (const { message } of messagesOf(
      channel,
      open(channel.metadata(), { deadline }),
      options.signal,
    )) {
      if (message?.$case === 'progress') tell(options, (message as ProgressCase).value);
      else if (message?.$case === end) return (message as Message).value as Ended<Response, Case>;
    }
    throw new BoxledgerError('Unavailable', 'the server ended the call without saying what came of it');
  });
