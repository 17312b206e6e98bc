// What every sink does, as cases that any test runner can run:
//
//   for (const { name, run } of sinkCases(makeHarness)) test(name, run)
//
// A harness holds the definition under test, a peer that it delivers to, and what the peer has got: the markers of the
// sample events (`markersIn` finds them in whatever the sink wrote). Each case has a harness of its own. What a sink
// has not, such as a peer that can be away, is left out of the harness, and those cases pass without a look.

import type { SinkDefinition } from '../../pipeline/contract/definition.ts';
import type { Sink, SinkAnswer, SinkBatch, SinkContext } from '../../pipeline/contract/sink.ts';
import type { World } from '../../pipeline/contract/world.ts';
import { markersOf, sampleBatch } from '../otlp-samples.ts';
import { testSinkContext } from '../pipeline-contexts.ts';
import {
  type ConformanceCase,
  type ConformanceTime,
  check,
  checkDefinition,
  expectAtLeastOnce,
  expectSame,
  parsedOptions,
  timeOf,
} from './component-checks.ts';

export type SinkHarness = {
  readonly definition: SinkDefinition;
  /** As they would stand in a config. */
  readonly options: unknown;
  readonly world: World;
  /** Default: that of the world. */
  readonly time?: ConformanceTime;
  readonly context?: Partial<Pick<SinkContext, 'id' | 'origin' | 'headers'>>;
  /** Markers of all events that have arrived, in order of arrival. Not of a sink that keeps nothing. */
  received?(): Promise<readonly string[]>;
  /** Takes the peer away (connections are refused, the disk is full, ...) and gives it back. */
  readonly outage?: { begin(): Promise<void>; end(): Promise<void> };
  /** From now on the peer takes what it is sent and answers nothing, until the harness is closed. */
  stall?(): Promise<void>;
  /** A sink that uses keys to drop repeats. Default: a batch that comes again arrives again. */
  readonly dropsRepeats?: boolean;
  /** Gives back what the harness holds. */
  close(): Promise<void>;
};

type Rig = { readonly harness: SinkHarness; readonly time: ConformanceTime; readonly sink: Sink };

/** `timeoutMs` of cases in which the peer answers, on a machine that may be busy, and of those in which it does not. */
const patientMs = 8_000;
const impatientMs = 500;

/** What a sink says of a peer that is not there. */
const away: readonly string[] = ['retryable', 'blocked'];

const deliveries: readonly Probe[] = [
  {
    name: 'a batch of one record arrives, its events in order',
    async look(rig) {
      const batch = firstSample(rig, [5]);
      await delivered(rig, batch);
      await arrived(rig, markersOf(1, 5));
    },
  },
  {
    name: 'a batch of several records arrives in order',
    async look(rig) {
      await delivered(rig, firstSample(rig, [1, 3, 2, 1]));
      await arrived(rig, markersOf(1, 7));
    },
  },
  {
    name: 'batches that are delivered one after the other arrive in order',
    async look(rig) {
      const signal = signalsOf(rig)[0] ?? 'logs';
      for (let at = 0; at < 10; at++) await delivered(rig, sampleBatch(signal, 1 + at * 4, [3, 1]));
      await arrived(rig, markersOf(1, 40));
    },
  },
  {
    name: 'every signal that it takes arrives',
    async look(rig) {
      let next = 1;
      for (const signal of signalsOf(rig)) {
        await delivered(rig, sampleBatch(signal, next, [2, 2]));
        next += 4;
      }
      await arrived(rig, markersOf(1, next - 1));
    },
  },
  {
    name: 'batches side by side, as many as it allows, all arrive',
    async look(rig) {
      const { harness, time, sink } = rig;
      const signal = signalsOf(rig)[0] ?? 'logs';
      const places = Math.min(4, sink.concurrencyMax ?? 4);
      const batches = Array.from({ length: places }, (_, at) => sampleBatch(signal, 1 + at * 3, [3]));
      const answers = await time.run(Promise.all(batches.map((batch) => sink.deliver(batch, { signal: never() }))));
      for (const answer of answers) expectKind(answer, ['delivered']);
      const found = [...((await harness.received?.()) ?? markersOf(1, places * 3))].sort();
      expectSame(found, markersOf(1, places * 3), 'events at the peer, sorted');
    },
  },
  {
    name: 'a large batch arrives, or is too large',
    async look(rig) {
      const batch = firstSample(rig, [1_000, 1_000, 1_000], ` ${'x'.repeat(200)}`);
      const answer = await deliver(rig, batch);
      expectKind(answer, ['delivered', 'too_large']);
      if (answer.kind === 'delivered') await arrived(rig, markersOf(1, 3_000));
    },
  },
  {
    name: 'texts with line breaks, controls, quotes and all of Unicode do no harm',
    async look(rig) {
      const text = ' "\'\\ \r\n\t\u0000\u0007\u001b[31m\u2028 äöü 漢字 🜁 </script> ${HOME} %s';
      await delivered(rig, firstSample(rig, [2, 1], text));
      await arrived(rig, markersOf(1, 3));
    },
  },
  {
    name: 'what it is given it leaves as it is',
    async look(rig) {
      const batch = firstSample(rig, [2, 3]);
      const before = batch.records.map(({ bytes }) => Uint8Array.from(bytes));
      await delivered(rig, batch);
      for (const [at, { bytes }] of batch.records.entries()) {
        check(Buffer.compare(bytes, before[at] as Uint8Array) === 0, `the bytes of record ${at} were changed`);
      }
    },
  },
  {
    name: 'a batch that comes again is answered delivered again',
    async look(rig) {
      const batch = firstSample(rig, [2]);
      await delivered(rig, batch);
      await delivered(rig, batch);
      const expected = rig.harness.dropsRepeats === true ? markersOf(1, 2) : [...markersOf(1, 2), ...markersOf(1, 2)];
      await arrived(rig, expected);
    },
  },
  {
    name: 'a delivery that is aborted before it began is answered all the same',
    async look(rig) {
      const { time, sink } = rig;
      const answer = await time.run(sink.deliver(firstSample(rig, [1]), { signal: AbortSignal.abort() }));
      expectKind(answer, ['retryable', 'delivered']);
    },
  },
  {
    name: 'it is healthy while its peer is',
    async look({ time, sink }) {
      const health = await time.run(sink.checkHealth?.({ signal: never() }) ?? Promise.resolve({ kind: 'healthy' }));
      check(health.kind === 'healthy', `health is ${JSON.stringify(health)}`);
    },
  },
];

const troubles: readonly Probe[] = [
  {
    name: 'a peer that is away is an answer with a reason, and afterwards the batch arrives',
    timeoutMs: impatientMs,
    async look(rig) {
      const { harness } = rig;
      if (harness.outage === undefined) return;
      await deliveredInTheEnd(rig, firstSample(rig, [1]));
      await harness.outage.begin();
      const batch = sampleBatch(signalsOf(rig)[0] ?? 'logs', 2, [2, 1]);
      for (let tries = 0; tries < 2; tries++) {
        const answer = await deliver(rig, batch);
        expectKind(answer, away);
        check('reason' in answer && answer.reason !== '', `a reason is missing: ${JSON.stringify(answer)}`);
      }
      await harness.outage.end();
      await deliveredInTheEnd(rig, batch);
      if (harness.received !== undefined) {
        expectAtLeastOnce(await harness.received(), markersOf(1, 4), 'events at the peer, without repeats');
      }
    },
  },
  {
    name: 'a peer that is away is not healthy',
    timeoutMs: impatientMs,
    async look({ harness, time, sink }) {
      if (harness.outage === undefined || sink.checkHealth === undefined) return;
      await harness.outage.begin();
      const health = await time.run(sink.checkHealth({ signal: never() }));
      check(away.includes(health.kind), `health is ${JSON.stringify(health)}`);
      await harness.outage.end();
    },
  },
  {
    name: 'a peer that does not answer is given up when the signal says so',
    timeoutMs: 60_000,
    async look(rig) {
      const { harness, time, sink } = rig;
      if (harness.stall === undefined) return;
      await harness.stall();
      const startedAt = harness.world.clock.monotonic();
      const stop = new AbortController();
      const answer = sink.deliver(firstSample(rig, [1]), { signal: stop.signal });
      await time.pass(20);
      stop.abort();
      expectKind(await time.run(answer), ['retryable']);
      const tookMs = harness.world.clock.monotonic() - startedAt;
      check(tookMs < 5_000, `it answered ${Math.round(tookMs)} ms after it was told to give up`);
    },
  },
  {
    name: 'a peer that does not answer is given up after the time-out',
    timeoutMs: impatientMs,
    async look(rig) {
      if (rig.harness.stall === undefined) return;
      await rig.harness.stall();
      expectKind(await deliver(rig, firstSample(rig, [1])), ['retryable']);
    },
  },
];

const endings: readonly Probe[] = [
  { name: 'a sink that was never used can be closed', look: async () => undefined },
  {
    name: 'a sink whose peer is away can be closed',
    timeoutMs: impatientMs,
    async look(rig) {
      if (rig.harness.outage === undefined) return;
      await rig.harness.outage.begin();
      expectKind(await deliver(rig, firstSample(rig, [1])), away);
    },
  },
  {
    name: 'what was delivered stays delivered when the sink is closed and made anew, and more follows it',
    async look(rig) {
      const { harness, time, sink } = rig;
      const signal = signalsOf(rig)[0] ?? 'logs';
      await delivered(rig, sampleBatch(signal, 1, [3]));
      await time.run(sink.close?.() ?? Promise.resolve());
      const next = await madeSink(harness, time);
      await delivered({ harness, time, sink: next }, sampleBatch(signal, 4, [2]));
      await arrived(rig, markersOf(1, 5));
      await time.run(next.close?.() ?? Promise.resolve());
    },
    closesItself: true,
  },
];

/** The cases for one sink. `make` is called once for each of them. */
export function sinkCases(make: () => SinkHarness | Promise<SinkHarness>): readonly ConformanceCase[] {
  const definitionCase: ConformanceCase = {
    name: 'its definition can stand in a config, and its schema refuses what it does not know',
    async run() {
      const harness = await make();
      try {
        checkDefinition(harness.definition, 'sink', harness.options);
      } finally {
        await harness.close();
      }
    },
  };
  return [definitionCase, ...[...deliveries, ...troubles, ...endings].map((probe) => caseOf(probe, make))];
}

type Probe = {
  readonly name: string;
  readonly timeoutMs?: number;
  readonly closesItself?: boolean;
  look(rig: Rig): Promise<void>;
};

function caseOf(probe: Probe, make: () => SinkHarness | Promise<SinkHarness>): ConformanceCase {
  return {
    name: probe.name,
    async run() {
      const harness = await make();
      const time = harness.time ?? timeOf(harness.world);
      try {
        const sink = await madeSink(harness, time, probe.timeoutMs);
        await probe.look({ harness, time, sink });
        if (probe.closesItself !== true) await time.run(sink.close?.() ?? Promise.resolve());
      } finally {
        await harness.close();
      }
    },
  };
}

async function madeSink(harness: SinkHarness, time: ConformanceTime, timeoutMs: number = patientMs): Promise<Sink> {
  const { definition, options, world } = harness;
  const context = testSinkContext({ id: 'conformance', timeoutMs, ...harness.context, world });
  return await time.run(Promise.resolve(definition.create(parsedOptions(definition, options), context)));
}

function signalsOf({ sink, harness: { definition, options } }: Rig): readonly SinkBatch['signal'][] {
  return sink.signals ?? definition.signals?.(parsedOptions(definition, options)) ?? ['logs', 'traces', 'metrics'];
}

function firstSample(rig: Rig, eventsOfRecords: readonly number[], text?: string): SinkBatch {
  return sampleBatch(signalsOf(rig)[0] ?? 'logs', 1, eventsOfRecords, text);
}

function deliver({ time, sink }: Rig, batch: SinkBatch): Promise<SinkAnswer> {
  return time.run(sink.deliver(batch, { signal: never() }));
}

async function delivered(rig: Rig, batch: SinkBatch): Promise<void> {
  const answer = await deliver(rig, batch);
  expectKind(answer, ['delivered']);
  check(answer.kind !== 'delivered' || answer.refused === undefined, `events were refused: ${JSON.stringify(answer)}`);
}

/** A peer that comes back may need a moment, a busy machine as well: it is tried again, as the driver does. */
async function deliveredInTheEnd(rig: Rig, batch: SinkBatch): Promise<void> {
  for (let tries = 0; tries < 50; tries++) {
    const answer = await deliver(rig, batch);
    if (answer.kind === 'delivered') return;
    expectKind(answer, away);
    await rig.time.pass(50);
  }
  throw new Error('the batch was not delivered although the peer is back');
}

async function arrived({ harness }: Rig, expected: readonly string[]): Promise<void> {
  if (harness.received !== undefined) expectSame(await harness.received(), expected, 'events at the peer');
}

function expectKind(answer: SinkAnswer, kinds: readonly string[]): void {
  check(kinds.includes(answer.kind), `expected the answer ${kinds.join(' or ')}, found ${JSON.stringify(answer)}`);
}

function never(): AbortSignal {
  return new AbortController().signal;
}
