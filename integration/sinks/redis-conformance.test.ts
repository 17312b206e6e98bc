// What every sink does, the Redis sink does against real servers, too: one of each kind for all cases, emptied in
// between.
import { afterAll, beforeAll, describe, test } from 'vitest';
import redis from '../../plugins/redis/src/index.ts';
import { markersIn, realWorld, type SinkHarness, sinkCases } from '../../src/testing/index.ts';
import { startServer } from '../containers.ts';
import { type Fault, faultOf } from '../faults.ts';
import { localImage } from '../local-images.ts';
import { RedisClient, type RedisPlace } from '../redis-client.ts';
import { needs } from '../requirements.ts';
import { durableRedis } from './redis.ts';
import { RedisNodes } from './redis-cluster.ts';
import type { StartedSubject } from './sink-subject.ts';

type Kept = Pick<StartedSubject, 'server' | 'sink'> &
  AsyncDisposable & { place(): Promise<RedisPlace>; ready(): Promise<void> };

const reason = needs('linux', 'docker', 'redis-image');

async function startOne(): Promise<Kept> {
  const server = await startServer({ image: localImage('redis') as string, port: 6379, command: durableRedis });
  const sink = { url: `redis://127.0.0.1:${server.port}` };
  return {
    server,
    sink,
    place: async () => server.port,
    ready: async () => undefined,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

async function startNodes(): Promise<Kept> {
  const nodes = await RedisNodes.start();
  const { type: _, stream: __, ...sink } = nodes.sink;
  return {
    server: nodes.server,
    sink,
    place: () => nodes.place(),
    ready: () => nodes.ready(),
    [Symbol.asyncDispose]: () => nodes[Symbol.asyncDispose](),
  };
}

async function harnessOf(kept: Kept, isList: boolean): Promise<SinkHarness> {
  const killed = await faultOf('killed', kept.server);
  const paused = await faultOf('paused', kept.server);
  let lift: (() => Promise<void>) | undefined;
  const during = async ({ begin, end }: Fault): Promise<void> => {
    await begin();
    lift = end;
  };
  const lifted = async (): Promise<void> => {
    if (lift === undefined) return;
    await lift();
    lift = undefined;
    await kept.ready();
  };
  const held = async (place: RedisPlace): Promise<readonly string[]> =>
    isList
      ? await RedisClient.elements(place, 'numbers')
      : (await RedisClient.entries(place, 'numbers')).map(({ data }) => data);
  return {
    definition: redis,
    options: { ...kept.sink, key: 'numbers', data_type: isList ? 'list' : 'stream' },
    world: realWorld(),
    dropsRepeats: !isList,
    received: async () => (await held(await kept.place())).flatMap(markersIn),
    outage: { begin: () => during(killed), end: lifted },
    stall: () => during(paused),
    async close() {
      await lifted();
      await RedisClient.flush(await kept.place());
    },
  };
}

describe.each<readonly [string, () => Promise<Kept>, boolean]>([
  ['a stream', startOne, false],
  ['a list', startOne, true],
  ['a stream of a cluster', startNodes, false],
])('with %s', (_, start, isList) => {
  let kept: Kept;

  beforeAll(async () => {
    if (reason === undefined) kept = await start();
  }, 60_000);

  afterAll(async () => {
    await kept?.[Symbol.asyncDispose]();
  });

  for (const { name, run } of sinkCases(() => harnessOf(kept, isList))) {
    test(name, { timeout: 60_000 }, async (context) => {
      if (reason !== undefined) return context.skip(reason);
      await run();
    });
  }
});
