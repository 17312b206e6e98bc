// A real Redis that is paused, killed, restarted and cut off under load, and a pipeline that is killed as well: every
// number that the pipeline has accepted is in the stream exactly once, in order.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import redis from '../plugins/redis/src/index.ts';
import { type ConformanceCase, markersIn, realWorld, type SinkHarness, sinkCases } from '../src/testing/index.ts';
import { type StartedServer, startServer } from './containers.ts';
import { type FaultName, faultNames, faultOf, wireFaults } from './faults.ts';
import { localImage } from './local-images.ts';
import { RedisClient } from './redis-client.ts';
import { durableRedis, RedisRig } from './redis-rig.ts';
import { needs } from './requirements.ts';

/** Numbers that are accepted between one event and the next. */
const some = 400;
/** From the end of a fault until everything that was accepted has arrived. The backoff in between is half a second. */
const recoveryMsMax = 15_000;
/** Node with its code, the buffer and one batch in flight. Without a bound on what waits it would be more. */
const memoryBytesMax = 320 * 1024 * 1024;

function reasonToSkip(faults: readonly FaultName[]): string | undefined {
  const wire = faults.some((fault) => wireFaults.includes(fault)) ? (['wire'] as const) : [];
  return needs('linux', 'docker', 'redis-image', ...wire);
}

/** Everything accepted is there once and in order, nothing waits any more, and nobody made numbers up. */
async function expectAllDelivered(rig: RedisRig): Promise<void> {
  await rig.load.stop();
  await rig.delivers();
  expect(await rig.pipeline.stop(), rig.pipeline.said).toBe(0);
  const found = await rig.numbers();
  const unordered = found.filter((number, index) => index > 0 && number <= (found[index - 1] as number));
  expect(unordered, 'out of order, or twice').toEqual([]);
  const present = new Set(found);
  expect(rig.load.accepted.filter((number) => !present.has(number))).toEqual([]);
  expect(found.at(-1)).toBeLessThanOrEqual(rig.load.sent);
  expect(await rig.backlogEvents()).toBe(0);
  expect(rig.memoryBytesMax).toBeLessThan(memoryBytesMax);
}

describe('Redis under a pipeline', () => {
  test.for(faultNames)(
    '%s, and the pipeline killed as well: all that was accepted is there once, in order',
    { timeout: 180_000 },
    async (name, context) => {
      const reason = reasonToSkip([name]);
      if (reason !== undefined) return context.skip(reason);
      await using rig = await RedisRig.start();
      await rig.accepts(some);
      await rig.delivers();
      const fault = await faultOf(name, rig.server);
      await fault.begin();
      await rig.accepts(some);
      await rig.killPipeline();
      await rig.accepts(some);
      // A fault that nobody could feel would prove nothing. A restart is over when it has begun.
      expect(await RedisClient.answers(rig.server.port)).toBe(name === 'restarted');
      await fault.end();
      expect(await rig.delivers()).toBeLessThan(recoveryMsMax);
      await rig.accepts(some);
      await rig.killPipeline();
      await rig.accepts(some);
      await expectAllDelivered(rig);
    },
  );

  test("whose stream is another pipeline's: it ends, and has written nothing", {
    timeout: 120_000,
  }, async (context) => {
    const reason = reasonToSkip([]);
    if (reason !== undefined) return context.skip(reason);
    await using rig = await RedisRig.start();
    await rig.accepts(some);
    await expectAllDelivered(rig);
    const before = await rig.numbers();
    await using other = await RedisRig.start(rig.server);
    expect(await other.pipeline.ended()).toBe(2);
    expect(other.pipeline.said).toContain('SPILLWAY_CONFIG_OWNER');
    expect(await rig.numbers()).toEqual(before);
  });
});

describe('what every sink does', () => {
  const reason = reasonToSkip([]);
  let server: StartedServer;

  beforeAll(async () => {
    if (reason === undefined)
      server = await startServer({ image: localImage('redis') as string, port: 6379, command: durableRedis });
  });

  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
  });

  async function harness(): Promise<SinkHarness> {
    const killed = await faultOf('killed', server);
    const paused = await faultOf('paused', server);
    let lift: (() => Promise<void>) | undefined;
    const during = async ({ begin, end }: typeof killed): Promise<void> => {
      await begin();
      lift = end;
    };
    return {
      definition: redis,
      options: { url: `redis://127.0.0.1:${server.port}`, stream: 'events' },
      world: realWorld(),
      dropsRepeats: true,
      received: async () => (await RedisClient.entries(server.port, 'events')).flatMap(({ data }) => markersIn(data)),
      outage: {
        begin: () => during(killed),
        async end() {
          await lift?.();
          lift = undefined;
        },
      },
      stall: () => during(paused),
      async close() {
        await lift?.();
        await RedisClient.flush(server.port);
      },
    };
  }

  const run = async (probe: ConformanceCase['run'], skip: (reason: string) => void): Promise<void> => {
    if (reason !== undefined) return skip(reason);
    await probe();
  };
  for (const { name, run: probe } of sinkCases(harness)) {
    test(name, { timeout: 60_000 }, (context) => run(probe, context.skip));
  }
});
