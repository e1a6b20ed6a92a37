import pino, { type DestinationStream, type Logger } from 'pino';

/**
 * The service's log: a JSON object a line, on standard error unless told otherwise. An error that pg met on an idle
 * connection has the whole client hung onto it, with every statement that was ever prepared; that is left out.
 */
export const serviceLog = (
  level: string,
  destination: DestinationStream = pino.destination({ dest: 2, sync: true }),
): Logger => pino({ level, base: null, serializers: { err: errorFields } }, destination);

const errorFields = (error: Error) => {
  const { client: _client, ...fields } = pino.stdSerializers.err(error);
  return fields;
};
