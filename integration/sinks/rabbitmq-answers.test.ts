// What the sink makes of what a real RabbitMQ says: routes, alarms, full queues, limits and permissions; and what every
// sink does, against the real server.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import definition from '../../plugins/rabbitmq/src/index.ts';
import type { Sink, SinkAnswer, SinkBatch } from '../../src/pipeline/contract/index.ts';
import {
  type ConformanceCase,
  type MemoryLog,
  markersIn,
  markersOf,
  realWorld,
  type SinkHarness,
  sampleBatch,
  sinkCases,
  testSinkContext,
} from '../../src/testing/index.ts';
import { faultOf } from '../faults.ts';
import { needs } from '../requirements.ts';
import { memoryAlarm, startRabbitmq } from './rabbitmq.ts';

const reason = needs('linux', 'docker', 'rabbitmq-image');
const timeout = 60_000;
let rabbit: Awaited<ReturnType<typeof startRabbitmq>>;

beforeAll(async () => {
  if (reason === undefined) rabbit = await startRabbitmq();
}, timeout);

afterAll(async () => {
  await rabbit?.server[Symbol.asyncDispose]();
});

/** A sink, and what it logs, for one test. */
class Trial implements AsyncDisposable {
  readonly log: MemoryLog;
  readonly #sink: Sink;

  constructor(options: Readonly<Record<string, unknown>>, timeoutMs = 10_000) {
    const context = testSinkContext({ world: realWorld(), id: 'broker', timeoutMs });
    this.log = context.log as MemoryLog;
    const parsed = definition.schema.parse({ connection_string: rabbit.url, ...options });
    this.#sink = definition.create(parsed as never, context) as Sink;
  }

  deliver(batch: SinkBatch): Promise<SinkAnswer> {
    return this.#sink.deliver(batch, { signal: new AbortController().signal });
  }

  get connections(): number {
    return this.log.lines.filter(({ message }) => message === 'connected').length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#sink.close?.();
  }
}

async function markersOfQueue(queue: string): Promise<string[]> {
  return (await rabbit.client.takeAll(queue)).flatMap((body) => markersIn(body));
}

const kindAnd = (kind: string, words: RegExp): object => ({ kind, reason: expect.stringMatching(words) });

describe('RabbitMQ', () => {
  test('has no route for a message: blocked, and everything goes on when somebody binds a queue', {
    timeout,
  }, async (context) => {
    if (reason !== undefined) return context.skip(reason);
    await using trial = new Trial({ exchange: 'unbound', routing_key: 'a.{signal}', declare: {} });
    const batch = sampleBatch('logs', 1, [100]);
    for (let tries = 0; tries < 2; tries += 1) {
      expect(await trial.deliver(batch)).toEqual(kindAnd('blocked', /100 of 100 messages have no route.*312 NO_ROUTE/));
    }
    await rabbit.client.with(async (channel) => {
      await channel.assertQueue('bound');
      await channel.bindQueue('bound', 'unbound', 'a.*');
    });
    expect(await trial.deliver(batch)).toEqual({ kind: 'delivered' });
    expect(await markersOfQueue('bound')).toEqual(markersOf(1, 100));
    expect(trial.connections).toBe(1);
  });

  test('raises a memory alarm: retryable over the same connection, and nothing is repeated or lost', {
    timeout,
  }, async (context) => {
    if (reason !== undefined) return context.skip(reason);
    await using trial = new Trial({ queue: 'alarmed', declare: {} }, 2_000);
    expect(await trial.deliver(sampleBatch('logs', 1, [10]))).toEqual({ kind: 'delivered' });
    await rabbit.evaluate(memoryAlarm.begin);
    const batch = sampleBatch('logs', 11, [2_000], 'x'.repeat(1_000));
    const blocked = kindAnd('retryable', /blocks publishers: low on memory/);
    for (let tries = 0; tries < 3; tries += 1) expect(await trial.deliver(batch)).toEqual(blocked);
    const answer = trial.deliver(batch);
    await rabbit.evaluate(memoryAlarm.end);
    if ((await answer).kind !== 'delivered') expect(await trial.deliver(batch)).toEqual({ kind: 'delivered' });
    expect(await markersOfQueue('alarmed')).toEqual(markersOf(1, 2_010));
    expect(trial.connections).toBe(1);
  });

  test('has a full queue that refuses: retryable, and what is refused comes again until there is room', {
    timeout,
  }, async (context) => {
    if (reason !== undefined) return context.skip(reason);
    const declare = { queue_type: 'classic', arguments: { 'x-max-length': 3, 'x-overflow': 'reject-publish' } };
    await using trial = new Trial({ queue: 'short', declare });
    const batch = sampleBatch('logs', 1, [5]);
    const refused = kindAnd('retryable', /of 5 messages were refused, a queue is full/);
    expect(await trial.deliver(batch)).toEqual(refused);
    expect(await trial.deliver(batch)).toEqual(refused);
    // With a consumer, as it should be: there is room again for a while.
    const found: string[] = [];
    const answers: SinkAnswer[] = [];
    await rabbit.client.with(async (channel) => {
      await channel.consume('short', (message) => found.push(...markersIn(message?.content ?? '')), { noAck: true });
      while (answers.at(-1)?.kind !== 'delivered' && answers.length < 20) answers.push(await trial.deliver(batch));
      await expect.poll(() => found.length, { timeout: 5_000 }).toBeGreaterThanOrEqual(5);
    });
    expect(answers.at(-1)).toEqual({ kind: 'delivered' });
    expect(found.sort()).toEqual(markersOf(1, 5));
  });

  test('has limits and permissions: too large, or blocked with its words', { timeout }, async (context) => {
    if (reason !== undefined) return context.skip(reason);
    const set = (bytes: number): string => `application:set_env(rabbit, max_message_size, ${bytes})`;
    const permit = (...allowed: readonly [configure: string, write: string, read: string]): string => {
      const texts = ['guest', '/', ...allowed, 'test'].map((text) => `<<"${text}">>`);
      return `rabbit_auth_backend_internal:set_permissions(${texts.join(', ')})`;
    };
    await using small = new Trial({ queue: 'limited', declare: {} });
    await rabbit.evaluate(`${set(10_000)}, ${permit('^(limited|forbidden)$', '^amq.default$', '')}.`);
    const large = sampleBatch('logs', 1, [1], 'x'.repeat(20_000));
    expect(await small.deliver(large)).toEqual(kindAnd('too_large', /406 .*message size \d+ is larger/));
    expect(await small.deliver(sampleBatch('logs', 1, [1]))).toEqual({ kind: 'delivered' });
    await using forbidden = new Trial({ exchange: 'forbidden', declare: {} });
    const batch = sampleBatch('logs', 1, [1]);
    expect(await forbidden.deliver(batch)).toEqual(kindAnd('blocked', /403 ACCESS_REFUSED - .*access to exchange/));
    await using different = new Trial({ queue: 'limited', declare: { queue_type: 'classic' } });
    expect(await different.deliver(batch)).toEqual(kindAnd('blocked', /406 PRECONDITION_FAILED - inequivalent arg/));
    await using missing = new Trial({ exchange: 'missing' });
    expect(await missing.deliver(batch)).toEqual(kindAnd('blocked', /404 NOT_FOUND - no exchange 'missing'/));
    await rabbit.evaluate(`${set(134_217_728)}, ${permit('.*', '.*', '.*')}.`);
  });
});

describe('what every sink does', () => {
  let queues = 0;

  async function harness(): Promise<SinkHarness> {
    queues += 1;
    const queue = `conformance-${queues}`;
    const paused = await faultOf('paused', rabbit.server);
    const found: string[] = [];
    let isPaused = false;
    const pause = async (): Promise<void> => {
      isPaused = true;
      await paused.begin();
    };
    const goOn = async (): Promise<void> => {
      if (isPaused) await paused.end();
      isPaused = false;
    };
    return {
      definition,
      options: { connection_string: rabbit.url, queue, declare: { queue_type: 'classic' } },
      world: realWorld(),
      async received() {
        found.push(...(await markersOfQueue(queue)));
        return found;
      },
      outage: { begin: pause, end: goOn },
      stall: pause,
      close: goOn,
    };
  }

  const run = async (probe: ConformanceCase['run'], skip: (why: string) => void): Promise<void> => {
    if (reason !== undefined) return skip(reason);
    await probe();
  };
  for (const { name, run: probe } of sinkCases(harness)) {
    test(name, { timeout }, (context) => run(probe, context.skip));
  }
});
