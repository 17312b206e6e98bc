// The suites for sources and sinks are tests of others: here they pass what is right, and notice what is wrong.

import { describe, expect, it } from 'vitest';
import type { TelemetryBatch } from '../../otlp/signal.ts';
import { defineSink, defineSource, z } from '../../pipeline/contract/index.ts';
import type { Sink, SinkAnswer, SinkContext } from '../../pipeline/contract/sink.ts';
import type { EmitResult, SourceContext } from '../../pipeline/contract/source.ts';
import { markersIn, sampleRequest } from '../otlp-samples.ts';
import { simulatedWorld } from '../pipeline-contexts.ts';
import { type ConformanceCase, realTime } from './component-checks.ts';
import { type SinkHarness, sinkCases } from './sink-conformance.ts';
import { type SourceHarness, sourceCases } from './source-conformance.ts';

const schema = z.strictObject({ greeting: z.string().default('hello') });

/** The case whose name holds this text. */
function caseNamed(cases: readonly ConformanceCase[], text: string): ConformanceCase {
  const found = cases.filter(({ name }) => name.includes(text));
  expect(found).toHaveLength(1);
  return found[0] as ConformanceCase;
}

// A sink, and its peer in memory.

type Peer = { state: 'there' | 'away' | 'stalled'; readonly got: string[] };

class MemorySink implements Sink {
  readonly peer: Peer;
  readonly context: SinkContext;

  constructor(peer: Peer, context: SinkContext) {
    this.peer = peer;
    this.context = context;
  }

  async deliver(...[batch, { signal }]: Parameters<Sink['deliver']>): Promise<SinkAnswer> {
    const { state, got } = this.peer;
    if (signal.aborted) return { kind: 'retryable', reason: 'stopping' };
    if (state === 'away') return { kind: 'retryable', reason: 'nobody is there' };
    if (state === 'stalled') return await this.#wait(signal);
    got.push(...markersIn(batch.merged()));
    return { kind: 'delivered' };
  }

  async checkHealth(): Promise<{ kind: 'healthy' } | { kind: 'retryable'; reason: string }> {
    return this.peer.state === 'there' ? { kind: 'healthy' } : { kind: 'retryable', reason: 'nobody is there' };
  }

  #wait(signal: AbortSignal): Promise<SinkAnswer> {
    return new Promise((resolve) => {
      const end = (reason: string): void => {
        timer.cancel();
        resolve({ kind: 'retryable', reason });
      };
      const timer = this.context.world.clock.setTimer(this.context.timeoutMs, () => end('time-out'));
      signal.addEventListener('abort', () => end('stopping'));
    });
  }
}

function sinkHarness(make: (peer: Peer, context: SinkContext) => Sink): () => SinkHarness {
  return () => {
    const peer: Peer = { state: 'there', got: [] };
    const definition = defineSink({ type: 'sample', schema, create: (_options, context) => make(peer, context) });
    const be = (state: Peer['state']) => async (): Promise<void> => {
      peer.state = state;
    };
    return {
      definition,
      options: {},
      world: simulatedWorld(),
      received: async () => peer.got,
      outage: { begin: be('away'), end: be('there') },
      stall: be('stalled'),
      close: async () => undefined,
    };
  };
}

/** A sink that is right but for what `deliver` does, which gets the right one. */
function sinkWith(deliver: (right: MemorySink, ...args: Parameters<Sink['deliver']>) => Promise<SinkAnswer>) {
  return sinkHarness((peer, context) => {
    const right = new MemorySink(peer, context);
    return { deliver: (...args) => deliver(right, ...args), checkHealth: () => right.checkHealth() };
  });
}

describe('the cases for sinks', () => {
  for (const { name, run } of sinkCases(sinkHarness((peer, context) => new MemorySink(peer, context)))) it(name, run);

  const wrong: readonly [string, string, () => SinkHarness][] = [
    [
      'throws when nobody is there',
      'is away is an answer',
      sinkWith(async (right, ...args) => {
        if (right.peer.state === 'away') throw new Error('ECONNREFUSED');
        return right.deliver(...args);
      }),
    ],
    [
      'loses what it cannot deliver',
      'is away is an answer',
      sinkWith(async (right, ...args) => {
        const answer = await right.deliver(...args);
        return right.peer.state === 'away' ? { kind: 'delivered' } : answer;
      }),
    ],
    [
      'takes an outage for a refusal',
      'is away is an answer',
      sinkWith(async (right, ...args) => {
        const answer = await right.deliver(...args);
        return right.peer.state === 'away' ? { kind: 'rejected', reason: 'no' } : answer;
      }),
    ],
    [
      'delivers the first record only',
      'a batch of several records',
      sinkWith(async (right, batch, options) => {
        const [first] = batch.records;
        return right.deliver({ ...batch, merged: () => first?.bytes as Uint8Array }, options);
      }),
    ],
    [
      'turns records round',
      'a batch of several records',
      sinkWith(async (right, batch, options) => {
        const bytes = Buffer.concat([...batch.records].reverse().map((record) => record.bytes));
        return right.deliver({ ...batch, merged: () => bytes }, options);
      }),
    ],
    [
      'writes into what it is given',
      'what it is given it leaves',
      sinkWith(async (right, batch, options) => {
        const answer = await right.deliver(batch, options);
        batch.records[0]?.bytes.fill(0);
        return answer;
      }),
    ],
    [
      'does not listen to the signal',
      'when the signal says so',
      sinkWith(async (right, batch) => right.deliver(batch, { signal: new AbortController().signal })),
    ],
    [
      'waits for ever',
      'after the time-out',
      sinkWith(async (right, batch, options) => {
        if (right.peer.state === 'stalled') return new Promise(() => undefined);
        return right.deliver(batch, options);
      }),
    ],
  ];
  it.each(wrong)('notice one that %s', async (_what, where, make) => {
    await expect(caseNamed(sinkCases(make), where).run()).rejects.toThrow();
  });
});

// A source that reads lines from a list, which is all that its harness has to remember.

type Input = { readonly lines: TelemetryBatch[]; readonly state: { next: number; ended: boolean } };
type Emit = (context: SourceContext, batch: TelemetryBatch) => Promise<EmitResult>;

/** Emits until the batch has a final answer or the source is stopped. */
const patiently: Emit = async (context, batch) => {
  for (;;) {
    const result = await context.emit(batch);
    if (result.kind !== 'full' && result.kind !== 'unavailable') return result;
    if (context.stopping.aborted) return result;
    await pause(context, result.retryAfterMs);
  }
};

function pause({ world, stopping }: SourceContext, ms: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = world.clock.setTimer(ms, resolve);
    stopping.addEventListener('abort', () => {
      timer.cancel();
      resolve();
    });
  });
}

async function runOver(input: Input, context: SourceContext, emit: Emit): Promise<void> {
  const { lines, state } = input;
  while (!context.stopping.aborted) {
    const line = lines[state.next];
    if (line === undefined) {
      if (state.ended) return;
      await pause(context, 10);
      continue;
    }
    const { kind } = await emit(context, line);
    if (kind !== 'full' && kind !== 'unavailable') state.next += 1;
  }
}

function sourceHarness(run: (input: Input, context: SourceContext) => Promise<void>): () => SourceHarness {
  return () => {
    const input: Input = { lines: [], state: { next: 0, ended: false } };
    let produced = 0;
    return {
      definition: defineSource({
        type: 'sample',
        schema,
        create: (_, context) => ({ run: () => run(input, context) }),
      }),
      options: { greeting: 'hi' },
      world: simulatedWorld(),
      resumes: true,
      async produce(count) {
        for (let left = count; left > 0; left--) input.lines.push(sampleRequest('logs', ++produced, 1));
      },
      async end() {
        input.state.ended = true;
      },
      close: async () => undefined,
    };
  };
}

function sourceWith(emit: Emit): () => SourceHarness {
  return sourceHarness((input, context) => runOver(input, context, emit));
}

describe('the cases for sources', () => {
  for (const { name, run } of sourceCases(sourceWith(patiently))) it(name, run);

  const wrong: readonly [string, string, () => SourceHarness][] = [
    [
      'takes every answer for final',
      'after full everything comes again',
      sourceWith(async (context, batch) => {
        await context.emit(batch);
        return { kind: 'accepted' };
      }),
    ],
    [
      'does not wait before it comes again',
      'after full everything comes again, nothing is missing, and it does not hurry',
      sourceWith(async (context, batch) => {
        for (;;) {
          const result = await context.emit(batch);
          if (result.kind === 'accepted' || context.stopping.aborted) return result;
        }
      }),
    ],
    [
      'emits again what was dropped',
      'dropped by policy',
      sourceWith(async (context, batch) => {
        const result = await patiently(context, batch);
        return result.kind === 'dropped' ? patiently(context, batch) : result;
      }),
    ],
    [
      'stops at what is too large',
      'too large for every buffer',
      sourceWith(async (context, batch) => {
        const result = await patiently(context, batch);
        return result.kind === 'too_large' ? { kind: 'full', retryAfterMs: 1 } : result;
      }),
    ],
    [
      'counts wrong',
      'everything it is given is emitted',
      sourceWith((context, batch) => patiently(context, { ...batch, events: batch.events + 1 })),
    ],
    [
      'reuses its memory',
      'it does not change',
      sourceWith(async (context, batch) => {
        const result = await patiently(context, batch);
        batch.bytes.fill(0);
        return result;
      }),
    ],
    [
      'does not wait for its last answer',
      'finish what it took',
      sourceHarness(async (input, context) => {
        const stop = new Promise<void>((resolve) => context.stopping.addEventListener('abort', () => resolve()));
        await Promise.race([runOver(input, context, patiently), stop]);
      }),
    ],
    [
      'does not stop while it is refused',
      'while everything is refused',
      sourceWith(async (context, batch) => {
        for (;;) {
          const result = await context.emit(batch);
          if (result.kind !== 'full') return result;
          await new Promise<void>((resolve) => void context.world.clock.setTimer(60_000, resolve));
        }
      }),
    ],
    [
      'emits after its end',
      'nothing to do stops at once',
      sourceHarness(async (input, context) => {
        await runOver(input, context, patiently);
        context.world.clock.setTimer(5, () => void context.emit(sampleRequest('logs', 1, 1)));
      }),
    ],
    [
      'forgets what it could not get rid of',
      'could not get rid of',
      sourceHarness(async (input, context) => {
        await runOver(input, context, patiently);
        input.state.next = input.lines.length;
      }),
    ],
  ];
  it.each(wrong)('notice one that %s', async (_what, where, make) => {
    await expect(caseNamed(sourceCases(make), where).run()).rejects.toThrow();
  });
});

it('time that is real runs out when nothing comes', async () => {
  const { clock, sim } = simulatedWorld(); // A clock that somebody moves stands for the one that moves by itself.
  const time = realTime(clock);
  expect(await time.run(Promise.resolve(1))).toBe(1);
  const late = expect(time.run(new Promise(() => undefined))).rejects.toThrow('within 30000 ms');
  const never = expect(time.until(() => false, 'the moon')).rejects.toThrow('the moon: not within 30000 ms');
  await sim.advance(30_100);
  await Promise.all([late, never]);
});
