import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { textOf, trackedFiles } from './sources.ts';

const serviceSchema = z.object({
  image: z.string().optional(),
  build: z.object({ dockerfile: z.string() }).optional(),
  command: z.array(z.string()).optional(),
  environment: z.record(z.string(), z.string()).optional(),
  ports: z.array(z.string()).default([]),
  volumes: z.array(z.string()).default([]),
  secrets: z.array(z.string()).default([]),
  depends_on: z.record(z.string(), z.object({ condition: z.literal('service_healthy') })).default({}),
  healthcheck: z.object({ test: z.tuple([z.literal('CMD')], z.string()), interval: z.string() }),
});

const composeSchema = z.object({
  services: z.record(z.string(), serviceSchema),
  volumes: z.record(z.string(), z.null()),
  secrets: z.record(z.string(), z.object({ file: z.string() })),
});

const compose = composeSchema.parse(parse(textOf('docker-compose.yml')));
const services = Object.entries(compose.services);

test('the composed service waits until Postgres and Redis are healthy', () => {
  expect(Object.keys(compose.services['boxledger']?.depends_on ?? {}).sort()).toEqual(['postgres', 'redis']);
});

test('every composed port is bound to the loopback interface', () => {
  expect(services.flatMap(([, { ports }]) => ports).filter((port) => !port.startsWith('127.0.0.1:'))).toEqual(
    [],
  );
});

test('every composed volume and secret is declared', () => {
  const mounted = services.flatMap(([, { volumes }]) => volumes.map((volume) => volume.split(':')[0]));
  expect(mounted.sort()).toEqual(Object.keys(compose.volumes).sort());
  expect(services.flatMap(([, { secrets }]) => secrets)).toEqual(Object.keys(compose.secrets));
});

test('the composed Redis evicts nothing and keeps a log', () => {
  expect(compose.services['redis']?.command?.join(' ')).toMatch(/noeviction.*--appendonly yes/);
});

test('the composed service asks for a token, because it listens on every address of its container', () => {
  const command = compose.services['boxledger']?.command?.join(' ');
  expect(command).toContain('--listen 0.0.0.0:');
  expect(command).toContain('--token-file /run/secrets/boxledger-token');
});

test('the files that the image is built from are there', () => {
  const dockerfile = compose.services['boxledger']?.build?.dockerfile ?? '';
  expect(trackedFiles).toContain(dockerfile);
  const copied = [...textOf(dockerfile).matchAll(/^COPY (?!--from)(.+) \S+$/gm)]
    .flatMap(([, files = '']) => files.split(' '))
    .filter((file) => file !== '.');
  expect(copied.filter((file) => !trackedFiles.includes(file))).toEqual([]);
});
