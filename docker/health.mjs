// Ends with 0 when the server at `address` says that it serves: node docker/health.mjs ADDRESS [TOKEN-FILE]
import { readFileSync } from 'node:fs';
import { credentials, Metadata, makeGenericClientConstructor } from '@grpc/grpc-js';
import { service } from 'grpc-health-check';

const [address, tokenFile] = process.argv.slice(2);
const timeoutMs = 4_000;

const metadata = new Metadata();
if (tokenFile !== undefined)
  metadata.set('authorization', `Bearer ${readFileSync(tokenFile, 'utf8').trim()}`);

const Health = makeGenericClientConstructor(service, 'Health');
const client = new Health(address, credentials.createInsecure());
client.check({ service: '' }, metadata, { deadline: Date.now() + timeoutMs }, (error, answer) => {
  client.close();
  const isServing = answer?.status === 'SERVING' || answer?.status === 1;
  if (!isServing) console.error(error?.message ?? `status ${answer.status}`);
  process.exitCode = isServing ? 0 : 1;
});
