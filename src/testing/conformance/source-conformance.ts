// What every source does, as cases that any test runner can run:
//
//   for (const { name, run } of sourceCases(makeHarness)) test(name, run)
//
// A harness holds the definition under test and a way to give it events: `produce(3)` gives three, and each of them
// carries its marker (`markerOf(1)` for the first of a harness, and so on) in a text that ends up in what is emitted.
// For a source that is pushed to, `produce` is a well-behaved client: it keeps what was not taken and tries again soon,
// and resolves when everything has a final answer. A source that makes its own events has no `produce`; cases that need
// one pass without a look. Each case has a harness of its own.

import { countEvents } from '../../otlp/count.ts';
import { signals, type TelemetryBatch } from '../../otlp/signal.ts';
import type { SourceDefinition } from '../../pipeline/contract/definition.ts';
import type { EmitResult, Source } from '../../pipeline/contract/source.ts';
import type { World } from '../../pipeline/contract/world.ts';
import { markersIn, markersOf } from '../otlp-samples.ts';
import { type TestSourceContext, testSourceContext } from '../pipeline-contexts.ts';
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

export type SourceHarness = {
  readonly definition: SourceDefinition;
  /** As they would stand in a config. */
  readonly options: unknown;
  readonly world: World;
  /** Default: that of the world. */
  readonly time?: ConformanceTime;
  /** A directory of the case's own. For a source that remembers. */
  readonly stateDirectory?: string;
  /** Gives the source the next `count` events. `source` is running, or undefined while none is. */
  produce?(count: number, source: Source | undefined): Promise<void>;
  /** Ends the input, so that the source ends by itself. */
  end?(): Promise<void>;
  /** Whether a new source of the same options goes on where the last one left off, also with what came meanwhile. */
  readonly resumes?: boolean;
  close(): Promise<void>;
};

type Running = {
  readonly source: Source;
  readonly context: TestSourceContext;
  /** Settles when `run` does. */
  readonly ended: Promise<void>;
  readonly state: { hasEnded: boolean };
};

type Rig = {
  readonly harness: SourceHarness;
  readonly time: ConformanceTime;
  start(answer?: Answer): Promise<Running>;
};
type Answer = (batch: TelemetryBatch) => EmitResult | Promise<EmitResult>;
type Probe = { readonly name: string; look(rig: Rig, produce: Produce): Promise<void> };
type Produce = (count: number, running?: Running) => Promise<void>;

const taken: EmitResult = { kind: 'accepted' };
const retryAfterMs = 40;
/** More than any case needs. */
const emissionsMax = 5_000;
/** How long a source is watched that shall do nothing. */
const quietMs = 60;

const emitting: readonly Probe[] = [
  {
    name: 'everything it is given is emitted, once and in order',
    async look(rig, produce) {
      const running = await rig.start();
      await give(rig, produce, 3, running);
      await give(rig, produce, 2, running);
      await arrived(rig, running, 5);
      expectSame(acceptedMarkers(running), markersOf(1, 5), 'events accepted');
      await stopped(rig, running);
    },
  },
  {
    name: 'much at once is emitted, once and in order',
    async look(rig, produce) {
      const running = await rig.start();
      await give(rig, produce, 1_000, running);
      await arrived(rig, running, 1_000);
      expectSame(acceptedMarkers(running), markersOf(1, 1_000), 'events accepted');
      await stopped(rig, running);
    },
  },
  {
    name: 'what it has emitted it does not change',
    async look(rig, produce) {
      const before = new Map<TelemetryBatch, Uint8Array>();
      const running = await rig.start((batch) => {
        before.set(batch, Uint8Array.from(batch.bytes));
        return taken;
      });
      await give(rig, produce, 20, running);
      await arrived(rig, running, 20);
      await give(rig, produce, 20, running);
      await arrived(rig, running, 40);
      for (const [{ bytes }, copy] of before) check(Buffer.compare(bytes, copy) === 0, 'emitted bytes were changed');
      await stopped(rig, running);
    },
  },
];

const refusals: readonly Probe[] = [
  ...(['full', 'unavailable'] as const).map(
    (kind): Probe => ({
      name: `after ${kind} everything comes again, nothing is missing, and it does not hurry`,
      async look(rig, produce) {
        const refusal: EmitResult = kind === 'full' ? { kind, retryAfterMs } : { kind, reason: 'a test', retryAfterMs };
        let open = false;
        const running = await rig.start(() => (open ? taken : refusal));
        const produced = produce(3, running);
        produced.catch(() => undefined); // It is awaited below, after what may fail before.
        await rig.time.until(() => running.context.emissions.length > 0, 'the first emission');
        const before = running.context.emissions.length;
        await rig.time.pass(5 * retryAfterMs);
        const tries = running.context.emissions.length - before;
        check(
          tries <= 20,
          `it was told to come again after ${retryAfterMs} ms, and came ${tries} times in five times that`,
        );
        open = true;
        await rig.time.run(produced);
        await arrived(rig, running, 3);
        expectAtLeastOnce(acceptedMarkers(running), markersOf(1, 3), 'events accepted, without repeats');
        await stopped(rig, running);
      },
    }),
  ),
  {
    name: 'what was dropped by policy is not emitted again',
    async look(rig, produce) {
      let dropped = false;
      const running = await rig.start(({ events }) => {
        if (dropped) return taken;
        dropped = true;
        return { kind: 'dropped', reason: 'buffer_full', events };
      });
      await give(rig, produce, 1, running);
      await rig.time.until(() => running.context.emissions.length > 0, 'the first emission');
      await give(rig, produce, 2, running);
      await arrived(rig, running, 2);
      expectSame(acceptedMarkers(running), markersOf(2, 2), 'events accepted');
      await stopped(rig, running);
    },
  },
  {
    name: 'an event that is too large for every buffer holds up nothing that comes after it',
    async look(rig, produce) {
      let refused = false;
      const running = await rig.start(({ bytes }) => {
        if (!markersIn(bytes).includes('event-000001')) return taken;
        refused = true;
        return { kind: 'too_large', limitBytes: 100 };
      });
      await give(rig, produce, 1, running);
      await rig.time.until(() => refused, 'the first emission');
      await give(rig, produce, 2, running);
      await arrived(rig, running, 2);
      expectSame(acceptedMarkers(running), markersOf(2, 2), 'events accepted');
      await stopped(rig, running);
    },
  },
];

const stops: readonly Probe[] = [
  {
    name: 'a stop lets it finish what it took',
    async look(rig, produce) {
      const waiting: (() => void)[] = [];
      let slow = true;
      const running = await rig.start(() => {
        if (!slow) return taken;
        return new Promise((resolve) => void waiting.push(() => resolve(taken)));
      });
      const produced = produce(2, running);
      produced.catch(() => undefined); // A client may be cut off by the stop.
      await rig.time.until(() => waiting.length > 0, 'the first emission');
      running.context.stop();
      await rig.time.pass(quietMs);
      check(!running.state.hasEnded, 'run resolved although an emission was not answered');
      slow = false;
      for (const answer of waiting) answer();
      await rig.time.run(running.ended);
      check(running.context.accepted.length > 0, 'what was accepted was not told so');
    },
  },
  {
    name: 'a stop ends it also while everything is refused',
    async look(rig, produce) {
      const running = await rig.start(() => ({ kind: 'full', retryAfterMs: 60_000 }));
      produce(1, running).catch(() => undefined);
      await rig.time.until(() => running.context.emissions.length > 0, 'the first emission');
      await stopped(rig, running);
    },
  },
  {
    name: 'the end of its input ends it, when everything is accepted',
    async look(rig, produce) {
      const { harness } = rig;
      if (harness.end === undefined) return;
      const running = await rig.start();
      await give(rig, produce, 3, running);
      await harness.end();
      await rig.time.run(running.ended);
      expectSame(acceptedMarkers(running), markersOf(1, 3), 'events accepted');
    },
  },
  {
    name: 'a new one goes on where the last one left off',
    async look(rig, produce) {
      if (rig.harness.resumes !== true) return;
      const first = await rig.start();
      await give(rig, produce, 3, first);
      await arrived(rig, first, 3);
      await stopped(rig, first);
      await give(rig, produce, 2);
      const second = await rig.start();
      await arrived(rig, second, 2);
      await give(rig, produce, 1, second);
      await arrived(rig, second, 3);
      expectSame(acceptedMarkers(second), markersOf(4, 3), 'events accepted by the second');
      await stopped(rig, second);
    },
  },
  {
    name: 'a new one emits again what the last one could not get rid of',
    async look(rig, produce) {
      if (rig.harness.resumes !== true) return;
      const first = await rig.start(() => ({ kind: 'unavailable', reason: 'a test', retryAfterMs: 60_000 }));
      await give(rig, produce, 3, first);
      await rig.time.until(() => first.context.emissions.length > 0, 'the first emission');
      await stopped(rig, first);
      const second = await rig.start();
      await arrived(rig, second, 3);
      expectSame(acceptedMarkers(second), markersOf(1, 3), 'events accepted by the second');
      await stopped(rig, second);
    },
  },
];

/** The cases for one source. `make` is called once for each of them. */
export function sourceCases(make: () => SourceHarness | Promise<SourceHarness>): readonly ConformanceCase[] {
  const plain = (name: string, look: (rig: Rig) => Promise<void>): ConformanceCase => ({
    name,
    run: () => withRig(make, look),
  });
  return [
    plain('its definition can stand in a config, and its schema refuses what it does not know', async ({ harness }) => {
      checkDefinition(harness.definition, 'source', harness.options);
    }),
    plain('one that has nothing to do stops at once, and does nothing afterwards', async (rig) => {
      const running = await rig.start();
      await stopped(rig, running);
    }),
    plain('one that is told to stop before it runs resolves', async (rig) => {
      const context = contextOf(rig.harness);
      context.stop();
      const source = await rig.time.run(madeSource(rig.harness, context));
      await rig.time.run(source.run());
    }),
    ...[...emitting, ...refusals, ...stops].map(({ name, look }) =>
      plain(name, async (rig) => {
        const { harness } = rig;
        if (harness.produce === undefined) return;
        const { produce } = harness;
        await look(rig, (count, running) => produce.call(harness, count, running?.source));
      }),
    ),
  ];
}

async function withRig(
  make: () => SourceHarness | Promise<SourceHarness>,
  look: (rig: Rig) => Promise<void>,
): Promise<void> {
  const harness = await make();
  const time = harness.time ?? timeOf(harness.world);
  const started: Running[] = [];
  const start = async (answer: Answer = () => taken): Promise<Running> => {
    const context = contextOf(harness);
    context.answerWith((batch) => {
      if (context.emissions.length <= emissionsMax) return answer(batch);
      return new Promise(() => undefined); // It turns in circles, perhaps without ever giving way.
    });
    const source = await time.run(madeSource(harness, context));
    const state = { hasEnded: false };
    const ended = source.run().finally(() => {
      state.hasEnded = true;
    });
    ended.catch(() => undefined); // Looked at by whoever stops it.
    const running = { source, context, ended, state };
    started.push(running);
    return running;
  };
  try {
    await look({ harness, time, start });
  } finally {
    for (const { context } of started) context.stop();
    await Promise.allSettled(started.map(({ ended }) => time.run(ended)));
    await harness.close();
  }
  for (const { context } of started) for (const { batch } of context.emissions) checkBatch(batch);
}

function contextOf({ stateDirectory, world }: SourceHarness): TestSourceContext {
  return testSourceContext({ world, ...(stateDirectory === undefined ? {} : { stateDirectory }) });
}

async function madeSource({ definition, options }: SourceHarness, context: TestSourceContext): Promise<Source> {
  return await definition.create(parsedOptions(definition, options), context);
}

/** Valid OTLP with exactly as many events as it says. */
function checkBatch({ signal, bytes, events }: TelemetryBatch): void {
  check(signals.includes(signal), `the signal ${signal} does not exist`);
  const found = countEvents(signal, bytes);
  check(events >= 1 && found === events, `a batch says it has ${events} events, and has ${found}`);
}

function acceptedMarkers({ context }: Running): string[] {
  return context.accepted.flatMap(({ bytes }) => markersIn(bytes));
}

/** Gives it events, and waits until the harness says that it has them. */
async function give(rig: Rig, produce: Produce, count: number, running?: Running): Promise<void> {
  await rig.time.run(produce(count, running));
}

/** Until so many different events are accepted. */
async function arrived({ time }: Rig, running: Running, count: number): Promise<void> {
  const seen = new Set<string>();
  let looked = 0;
  const enough = (): boolean => {
    const { accepted } = running.context;
    for (; looked < accepted.length; looked++) {
      for (const marker of markersIn((accepted[looked] as TelemetryBatch).bytes)) seen.add(marker);
    }
    return seen.size >= count;
  };
  await time.until(() => running.state.hasEnded || enough(), `${count} events accepted`);
  if (running.state.hasEnded) await running.ended; // A crash says more than what is missing.
}

/** Stops it; `run` resolves, and nothing is emitted after that. */
async function stopped({ time }: Rig, { context, ended }: Running): Promise<void> {
  context.stop();
  await time.run(ended);
  const { length } = context.emissions;
  await time.pass(quietMs);
  check(context.emissions.length === length, 'something was emitted after run had resolved');
}
