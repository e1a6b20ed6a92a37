import { afterAll, beforeAll, expect, test } from 'vitest';
import { settleCommand } from '../../src/effects/settle-command.ts';
import type { EffectOutcome } from '../../src/events/effects.ts';
import type { Failure } from '../../src/events/failure.ts';
import { effectId } from '../../src/kernel/ids.ts';
import { type Client, connect } from '../../src/sdk/client.ts';
import type { ChainLink } from '../../src/sdk/history.ts';
import { failed, placement, success } from '../machines/box/story.ts';
import { buildAgent, startAgent, type TestAgent } from '../support/agent-process.ts';
import { eventually } from '../support/eventually.ts';
import { type HandMade, handMade } from './hand-made-host.ts';

/** The real service and client over a real Postgres; every box is the same real agent, and the host is the test. */
let agent: TestAgent;
let plane: HandMade;
let client: Client;
beforeAll(async () => {
  await buildAgent();
  agent = await startAgent();
  plane = await handMade(agent.guest);
  client = connect({ address: plane.api.address, actor: 'ann' });
});
afterAll(async () => {
  client.close();
  await plane.close();
  await agent.stop();
});

/** What becomes of the effect that the box waits for, claimed and settled as by a host. */
const settle = async (box: string, kind: EffectOutcome['kind'], failure?: Failure) => {
  const effect = await eventually(`${box} waits for ${kind}`, async () => {
    const { effect } = await client.get(box);
    return effect?.kind === kind ? effect : undefined;
  });
  const claimed = await eventually(`${effect.effectId} is claimed`, async () => {
    const claim = await plane.store.outbox.claim(effectId(effect.effectId), placement, 60_000);
    return claim.kind === 'claimed' ? claim.effect : undefined;
  });
  const outcome = failure === undefined ? success[kind] : failed(kind);
  const { command, meta } = settleCommand(claimed, claimed.intent, outcome, `host/${placement.hostId}`);
  await plane.deps.door.submit(command, meta);
};

const running = async (name: string) => {
  await client.create({ name, options: { labels: { team: 'shop' } } });
  await client.start(name, { wait: false });
  await settle(name, 'vm.boot');
  return client.get(name);
};

const words = (links: readonly ChainLink[]) =>
  links.map(({ depth, node }) => {
    const indent = ' '.repeat(depth);
    switch (node?.$case) {
      case 'ask':
        return `${indent}${node.value.actor?.id} asked${node.value.reason === undefined ? '' : ` because ${node.value.reason}`}`;
      case 'event':
        return `${indent}${node.value.type} ${node.value.streamId.split('/')[0]}@${node.value.version}`;
      case 'effect':
        return `${indent}${node.value.kind} ${node.value.state} on ${node.value.hostId}`;
      case 'attempt':
        return `${indent}attempt ${node.value.number} by ${node.value.actor?.id}`;
      default:
        return 'nothing';
    }
  });
const host = placement.hostId;

test('a box as of each of its versions is what it was said to be then', async () => {
  const said = [(await client.create({ name: 'life' })).box];
  said.push(await client.start('life', { wait: false }));
  await settle('life', 'vm.boot');
  said.push(await client.get('life'));
  said.push(await client.pause('life', { wait: false }));
  for (const box of said) {
    const then = await client.history.getAt('life', box.version);
    expect(then.box).toEqual(box);
    expect(then.event).toMatchObject({ version: box.version, streamId: `box/${box.boxId}` });
  }
  expect((await client.history.getAt('life', new Date(Date.now() + 60_000))).box).toEqual(said.at(-1));
});

test('a name is that of the box which had it then, and a version is one of the box which has it now', async () => {
  const first = (await client.create({ name: 'reused' })).box;
  const then = new Date();
  await eventually('the clock has gone on', async () => Date.now() > then.getTime());
  await client.remove('reused');
  expect((await client.history.getAt('reused', then)).box).toEqual(first);
  await expect(client.history.getAt('reused', new Date())).rejects.toMatchObject({ code: 'NotFound' });
  const second = (await client.create({ name: 'reused' })).box;
  expect((await client.history.getAt('reused', then)).box.boxId).toBe(first.boxId);
  expect((await client.history.getAt('reused', new Date(Date.now() + 1000))).box).toEqual(second);
  expect((await client.history.getAt('reused', 1n)).box).toEqual(second);
  expect((await client.history.getAt(first.boxId, 1n)).box).toEqual(first);
});

test('what was not there yet is not found, and the answer says what there is', async () => {
  const { box } = await client.create({ name: 'young' });
  await expect(client.history.getAt('young', new Date(0))).rejects.toMatchObject({
    code: 'NotFound',
    message: 'Box young did not exist at 1970-01-01T00:00:00.000Z.',
    details: { createdAt: box.createdAt?.toISOString() },
  });
  await expect(client.history.getAt('young', 2n)).rejects.toMatchObject({
    code: 'NotFound',
    details: { version: 1 },
  });
  await expect(client.history.why('young', { version: 2n })).rejects.toMatchObject({ code: 'NotFound' });
  await expect(client.history.why('young', { commandId: 'never' })).rejects.toMatchObject({
    code: 'NotFound',
  });
  await expect(client.history.getAt('nobody', new Date())).rejects.toMatchObject({ code: 'NotFound' });
});

test('boxes are listed as they were, by the same filters as now', async () => {
  await running('fleet-1');
  await client.create({ name: 'fleet-2' });
  const then = new Date();
  await eventually('the clock has gone on', async () => Date.now() > then.getTime());
  await client.remove('fleet-2');
  await client.pause('fleet-1', { wait: false });
  await client.create({ name: 'fleet-3' });
  const names = async (query: Parameters<typeof client.history.listAt>[1], at = then) => {
    const found: string[] = [];
    for await (const { name, state } of client.history.listAt(at, { namePrefix: 'fleet-', ...query }))
      found.push(`${name} ${state}`);
    return found;
  };
  expect(await names({})).toEqual(['fleet-1 running', 'fleet-2 configured']);
  expect(await names({ pageSize: 1 })).toEqual(['fleet-1 running', 'fleet-2 configured']);
  expect(await names({ states: ['running'] })).toEqual(['fleet-1 running']);
  expect(await names({ labels: { team: 'shop' } })).toEqual(['fleet-1 running']);
  expect(await names({}, new Date(0))).toEqual([]);
  const now = new Date(Date.now() + 1000);
  expect(await names({}, now)).toEqual(['fleet-1 pausing', 'fleet-3 configured']);
  expect(await names({ includeRemoved: true }, now)).toHaveLength(3);
});

test('a diff says what of the box and of its statechart differs, in either direction', async () => {
  await running('differs');
  const there = await client.history.diff('differs', 1n, 3n);
  expect(there.from?.version).toBe(1n);
  expect(there.to?.version).toBe(3n);
  expect(there.view).toContainEqual(
    expect.objectContaining({ path: 'state', beforeJson: '"configured"', afterJson: '"running"' }),
  );
  expect(there.view).toContainEqual(
    expect.objectContaining({ path: 'generation', beforeJson: '0', afterJson: '1' }),
  );
  expect(there.statechart.map(({ path }) => path)).toEqual(
    expect.arrayContaining(['value', 'context.process']),
  );
  const back = await client.history.diff('differs', 3n, 1n);
  expect(back.view).toContainEqual(
    expect.objectContaining({ path: 'state', beforeJson: '"running"', afterJson: '"configured"' }),
  );
  expect(await client.history.diff('differs', 3n)).toMatchObject({ view: [], statechart: [] });
});

test('why tells the way from the request by event, effect, attempt and host to the outcome', async () => {
  const { boxId } = await running('reasons');
  await client.stop('reasons', { wait: false, commandId: 'stop-it', reason: 'the night' });
  await settle('reasons', 'vm.shutdown', { code: 'Unavailable', message: 'the host is busy' });
  const chain = [
    'ann asked because the night',
    ' box.stopRequested box@4',
    `  vm.shutdown settled on ${host}`,
    `   attempt 1 by host/${host}`,
    '    box.stopFailed box@5',
    `     vm.shutdown pending on ${host}`,
  ];
  const last = await client.history.why('reasons');
  expect(words(last.links)).toEqual(chain);
  expect(last).toMatchObject({ event: { type: 'box.stopFailed' }, alreadySo: false, cutShort: false });
  const asked = await client.history.why('reasons', { commandId: 'stop-it' });
  expect(asked.event).toMatchObject({ type: 'box.stopRequested', version: 4n, streamId: `box/${boxId}` });
  expect(words(asked.links)).toEqual(chain);
  expect(words((await client.history.why('reasons', { version: 1n })).links)).toEqual([
    'ann asked',
    ' box.created box@1',
  ]);
});

test('why of a command that changed nothing tells what had made it so', async () => {
  await running('so');
  await client.start('so', { wait: false, commandId: 'start-again' });
  const why = await client.history.why('so', { commandId: 'start-again' });
  expect(why).toMatchObject({ alreadySo: true, event: { type: 'box.started' } });
  expect(words(why.links)[0]).toBe('ann asked');
  await client.create({ name: 'not-so' });
  await expect(client.history.why('not-so', { commandId: 'start-again' })).rejects.toMatchObject({
    code: 'NotFound',
  });
});

test('why goes across streams: an exec that started the box is the cause of its start', async () => {
  await client.create({ name: 'woken' });
  const run = async () => {
    for await (const output of client.exec('woken', 'sleep', { args: ['0.5'], commandId: 'run-it' }))
      if (output.kind === 'exited') return output.exit?.how;
    throw new Error('no exit');
  };
  const [exit] = await Promise.all([run(), settle('woken', 'vm.boot')]);
  expect(exit).toEqual({ $case: 'code', value: 0 });
  const chain = [
    'ann asked',
    ' exec.requested exec@1',
    '  ann asked because exec',
    '   box.startRequested box@2',
    `    vm.boot settled on ${host}`,
    `     attempt 1 by host/${host}`,
    '      box.started box@3',
    '  ann asked',
    '   exec.started exec@2',
    '  ann asked',
    '   exec.exited exec@3',
  ];
  expect(words((await client.history.why('woken')).links)).toEqual(chain);
  expect(words((await client.history.why('woken', { commandId: 'run-it' })).links)).toEqual(chain);
});

test('explain tells of each command what would follow, and what then follows is that', async () => {
  await client.create({ name: 'asked' });
  const before = await client.get('asked');
  const start = await client.history.explain('asked', { $case: 'start', value: {} });
  expect(start).toMatchObject({
    box: before,
    answer: {
      $case: 'accepted',
      value: {
        box: { state: 'starting', version: 2n, generation: 1 },
        events: [{ type: 'box.startRequested', version: 2n, state: 'starting', onceRunning: false }],
        effects: [{ kind: 'vm.boot', hostId: host }],
        cancels: [],
      },
    },
  });
  const remove = await client.history.explain('asked', { $case: 'remove', value: { force: false } });
  expect(remove.answer).toMatchObject({
    value: { events: [{ state: 'removing' }, { type: 'box.removed', state: 'removed' }], effects: [] },
  });
  expect((await client.history.explain('asked', { $case: 'stop', value: {} })).answer?.$case).toBe(
    'alreadySo',
  );
  const pause = await client.history.explain('asked', { $case: 'pause', value: { toDisk: false } });
  expect(pause.answer).toMatchObject({
    $case: 'refused',
    value: { code: 'InvalidState', help: 'Start it first.' },
  });
  expect(await client.get('asked')).toEqual(before);

  const started = await client.start('asked', { wait: false });
  const [planned] = start.answer?.$case === 'accepted' ? start.answer.value.effects : [];
  expect(started).toMatchObject({ state: 'starting', version: 2n, effect: { effectId: planned?.effectId } });
  const stop = await client.history.explain('asked', { $case: 'stop', value: { timeoutMs: 1 } });
  expect(stop.answer).toMatchObject({
    value: { cancels: [planned?.effectId], effects: [{ kind: 'vm.shutdown' }] },
  });
  const conflict = await client.history.explain(
    'asked',
    { $case: 'stop', value: {} },
    { expectedVersion: 1n },
  );
  expect(conflict.answer).toMatchObject({ $case: 'refused', value: { code: 'Conflict' } });
});

test('explain of an exec tells whether it runs, waits, or starts the box first', async () => {
  const explain = (box: string, autoStart?: boolean) =>
    client.history.explain(box, { $case: 'exec', value: { command: 'ls', args: ['-l'], autoStart } });
  await client.create({ name: 'visited' });
  expect((await explain('visited')).answer).toMatchObject({
    value: {
      box: { state: 'starting' },
      events: [
        { type: 'box.startRequested', state: 'starting', onceRunning: false },
        {
          type: 'exec.requested',
          streamId: '',
          onceRunning: true,
          dataJson: expect.stringContaining('"generation":1'),
        },
      ],
      effects: [{ kind: 'vm.boot' }],
    },
  });
  expect((await explain('visited', false)).answer).toMatchObject({
    $case: 'refused',
    value: { code: 'InvalidState' },
  });
  await client.start('visited', { wait: false });
  expect((await explain('visited')).answer).toMatchObject({
    value: { events: [{ type: 'exec.requested', onceRunning: true }], effects: [] },
  });
  await settle('visited', 'vm.boot');
  expect((await explain('visited')).answer).toMatchObject({
    value: {
      box: { state: 'running' },
      events: [{ type: 'exec.requested', onceRunning: false }],
      effects: [],
    },
  });
});

test('a whole id of a removed box is explained like any other: there is no such box', async () => {
  const { box } = await client.create({ name: 'gone' });
  await client.remove('gone');
  expect((await client.history.explain(box.boxId, { $case: 'start', value: {} })).answer).toMatchObject({
    $case: 'refused',
    value: { code: 'NotFound' },
  });
  expect((await client.history.why(box.boxId)).event?.type).toBe('box.removed');
});
