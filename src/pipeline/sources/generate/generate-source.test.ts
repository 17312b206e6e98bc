import { expect, it } from 'vitest';
import type { ZodType } from 'zod';
import { countEvents } from '../../../otlp/count.ts';
import { decodeRequest } from '../../../otlp/decode.ts';
import type { KeyValue, LogRecord, Span } from '../../../otlp/request.ts';
import type { TelemetryBatch } from '../../../otlp/signal.ts';
import type { FileHandle } from '../../../platform/file-system.ts';
import type { HostFiles } from '../../../platform/host-files.ts';
import { simulatedWorld, type TestSourceContext, testSourceContext } from '../../../testing/pipeline-contexts.ts';
import type { EmitResult, Source } from '../../contract/source.ts';
import { generateSource } from './generate-source.ts';
import { runKey, sequenceKey } from './generated-request.ts';
import { parseRuns } from './run-journal.ts';

/** The journal in memory: a simulated world does not wait for real files. */
class JournalFiles {
  text = '';
  isFull = false;
  handlesOpen = 0;

  get files(): HostFiles {
    const handle: Partial<FileHandle> = {
      write: async (source, position) => {
        if (this.isFull) throw new Error('no room');
        const written = Math.min(10, source.length); // Short, as a disk may.
        const text = new TextDecoder().decode(source.subarray(0, written));
        this.text = this.text.slice(0, position) + text + this.text.slice(position + written);
        return written;
      },
      close: async () => {
        this.handlesOpen -= 1;
      },
    };
    const files: Partial<HostFiles> = {
      makeDirectories: async () => undefined,
      readText: async () => (this.text === '' ? undefined : this.text),
      openToWrite: async () => {
        this.handlesOpen += 1;
        return handle as FileHandle;
      },
    };
    return files as HostFiles;
  }
}

function rig(given: object = {}, journal: JournalFiles = new JournalFiles(), seed: number | string = 1) {
  const world = { ...simulatedWorld({ seed }), files: journal.files };
  const context = testSourceContext({ world });
  const options = (generateSource.schema as ZodType).parse(given);
  const source = generateSource.create(options as never, context) as Source;
  return { context, source, journal, sim: world.sim };
}

interface Numbered {
  readonly run: string;
  readonly sequence: number;
}

function textAt(attributes: readonly KeyValue[] | undefined, wanted: string): string {
  const value = attributes?.find(({ key }) => key === wanted)?.value;
  return String(value?.stringValue ?? value?.intValue);
}

/** Every event in the order of the bytes. */
function numbersIn({ signal, bytes }: TelemetryBatch): Numbered[] {
  const request = decodeRequest(signal, bytes) as Record<string, never[]>;
  const numbers: Numbered[] = [];
  const visit = (value: unknown, run: string): void => {
    if (Array.isArray(value)) for (const each of value) visit(each, run);
    else if (typeof value === 'object' && value !== null) {
      const { resource, attributes } = value as { resource?: { attributes: KeyValue[] }; attributes?: KeyValue[] };
      const found = resource === undefined ? run : textAt(resource.attributes, runKey);
      const sequence = textAt(attributes, sequenceKey);
      if (sequence !== 'undefined') numbers.push({ run, sequence: Number(sequence) });
      for (const each of Object.values(value)) visit(each, found);
    }
  };
  visit(request, '');
  return numbers;
}

function eventsOf(batches: readonly TelemetryBatch[]): number {
  return batches.reduce((sum, { events }) => sum + events, 0);
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, at) => at + 1);

it('numbers every event from 1 without a gap, in the order of the bytes, and ends at its count', async () => {
  const { source, context, journal, sim } = rig({ rate: 5_000, count: 7_003, batch_events: 300 });
  await sim.run(source.run());
  const numbers = context.accepted.flatMap(numbersIn);
  expect(numbers.map(({ sequence }) => sequence)).toEqual(upTo(7_003));
  expect(new Set(numbers.map(({ run }) => run)).size).toBe(1);
  for (const { signal, bytes, events } of context.accepted) {
    expect(countEvents(signal, bytes)).toBe(events);
    expect(events).toBeLessThanOrEqual(300);
  }
  expect(new Set(context.accepted.map(({ signal }) => signal))).toEqual(new Set(['logs', 'traces', 'metrics']));
  expect(parseRuns(journal.text)).toEqual([{ run: numbers[0]?.run, last: 7_003, dropped: 0 }]);
  expect(journal.handlesOpen).toBe(0);
});

it.each([
  [0.5, 60],
  [3, 60],
  [100, 20],
  [12_345, 3],
])('keeps a rate of %d a second', async (rate, secs) => {
  const { source, context, sim } = rig({ rate });
  const running = source.run();
  await sim.advance(secs * 1_000);
  const expected = rate * secs;
  expect(eventsOf(context.accepted)).toBeGreaterThanOrEqual(Math.floor(expected - rate * 0.11) - 1);
  expect(eventsOf(context.accepted)).toBeLessThanOrEqual(expected);
  context.stop();
  await sim.run(running);
  expect(sim.timeMs).toBeCloseTo(secs * 1_000, 1);
});

it.each(['logs', 'traces', 'metrics'])('makes nothing but %s when nothing else is wanted', async (signal) => {
  const { source, context, sim } = rig({ rate: 1_000, signals: [signal], count: 500 });
  await sim.run(source.run());
  expect(context.accepted.every((batch) => batch.signal === signal)).toBe(true);
  expect(eventsOf(context.accepted)).toBe(500);
});

function refuseUntil(context: TestSourceContext, untilMs: number, refusal: EmitResult): void {
  const startMs = context.world.clock.monotonic();
  context.answerWith(() => (context.world.clock.monotonic() - startMs < untilMs ? refusal : { kind: 'accepted' }));
}

it.each<EmitResult>([
  { kind: 'full', retryAfterMs: 250 },
  { kind: 'unavailable', reason: 'stalled', retryAfterMs: 250 },
])('offers the same bytes again while a buffer is $kind, and catches up after it', async (refusal) => {
  const { source, context, sim } = rig({ rate: 1_000 });
  refuseUntil(context, 3_000, refusal);
  const running = source.run();
  await sim.advance(10_000);
  const refused = context.emissions.filter(({ result }) => result?.kind !== 'accepted');
  expect(refused.length).toBeGreaterThan(5);
  expect(new Set(refused.map(({ batch }) => batch)).size).toBe(1);
  expect(context.accepted[0]).toBe(refused[0]?.batch);
  const numbers = context.accepted.flatMap(numbersIn).map(({ sequence }) => sequence);
  expect(numbers).toEqual(upTo(numbers.length));
  expect(numbers.length).toBeGreaterThan(9_800);
  context.stop();
  await sim.run(running);
});

it('does not make up for an hour of outage at once', async () => {
  const { source, context, sim } = rig({ rate: 100 });
  refuseUntil(context, 3_600_000, { kind: 'full', retryAfterMs: 1_000 });
  const running = source.run();
  await sim.advance(3_601_500);
  expect(eventsOf(context.accepted)).toBeGreaterThan(500);
  expect(eventsOf(context.accepted)).toBeLessThan(700);
  context.stop();
  await sim.run(running);
});

it('goes on with a new run after a kill, and counts all runs towards its count', async () => {
  const journal = new JournalFiles();
  const first = rig({ rate: 1_000, count: 2_000 }, journal, 'first');
  void first.source.run();
  await first.sim.advance(500);
  const before = eventsOf(first.context.accepted); // Killed here: nothing more of it happens.
  journal.text += 'run 0123'; // A line that the crash has torn.
  const second = rig({ rate: 1_000, count: 2_000 }, journal, 'second');
  await second.sim.run(second.source.run());
  const numbers = second.context.accepted.flatMap(numbersIn);
  expect(numbers.map(({ sequence }) => sequence)).toEqual(upTo(2_000 - before));
  const runs = parseRuns(journal.text);
  expect(runs.map(({ last }) => last)).toEqual([before, 2_000 - before]);
  expect(runs[1]?.run).toBe(numbers[0]?.run);
  expect(runs[0]?.run).not.toBe(runs[1]?.run);

  const third = rig({ rate: 1_000, count: 2_000 }, journal, 'third');
  await third.sim.run(third.source.run());
  expect(third.context.emissions).toEqual([]);
  expect(third.context.log.lines).toHaveLength(1);
});

it('notes what a policy dropped', async () => {
  const { source, context, journal, sim } = rig({ rate: 1_000, count: 1_000 });
  let answers = 0;
  context.answerWith(({ events }) => {
    answers += 1;
    return answers === 2 ? { kind: 'dropped', reason: 'buffer_full', events } : { kind: 'accepted' };
  });
  await sim.run(source.run());
  const [line] = parseRuns(journal.text);
  expect(line?.last).toBe(1_000);
  expect(line?.dropped).toBe(1_000 - eventsOf(context.accepted));
  expect(line?.dropped).toBeGreaterThan(0);
});

it('stops at once, also while a buffer is full, and crashes rather than go on uncounted', async () => {
  const { source, context, sim } = rig({ rate: 1_000 });
  context.answerWith(() => ({ kind: 'full', retryAfterMs: 60_000 }));
  const running = source.run();
  await sim.advance(1_000);
  context.stop();
  await sim.run(running);
  expect(sim.timeMs).toBe(1_000);
  const other = rig({ rate: 1_000 });
  other.journal.isFull = true;
  await expect(other.sim.run(other.source.run())).rejects.toThrow('no room');
  expect(other.journal.handlesOpen).toBe(0);
});

it('makes the same content from the same seed, and another without', async () => {
  const bytesOf = async (given: object, world: string) => {
    const { source, context, sim } = rig({ count: 2_000, rate: 1_000, ...given }, new JournalFiles(), world);
    await sim.run(source.run());
    return context.accepted.map(({ signal, bytes }) => withoutRun(JSON.stringify(decodeRequest(signal, bytes))));
  };
  expect(await bytesOf({ seed: 7 }, 'one')).toEqual(await bytesOf({ seed: 7 }, 'two'));
  expect(await bytesOf({ seed: 7 }, 'one')).not.toEqual(await bytesOf({ seed: 8 }, 'one'));
  expect(await bytesOf({}, 'one')).not.toEqual(await bytesOf({}, 'two'));
});

function withoutRun(json: string): string {
  return json.replaceAll(/"stringValue":"[0-9a-f]{16}"/g, '"run"');
}

it('tells a story that hangs together: spans in their parents, log lines in their spans', async () => {
  const { source, context, sim } = rig({ rate: 5_000, count: 20_000, seed: 'story' });
  await sim.run(source.run());
  const spans = new Map<string, Span>();
  const logs: LogRecord[] = [];
  for (const { signal, bytes } of context.accepted) {
    if (signal === 'traces') {
      for (const { scopeSpans } of decodeRequest('traces', bytes)?.resourceSpans ?? []) {
        for (const span of scopeSpans?.[0]?.spans ?? []) spans.set(span.spanId ?? '', span);
      }
    } else if (signal === 'logs') {
      for (const { scopeLogs } of decodeRequest('logs', bytes)?.resourceLogs ?? []) {
        logs.push(...(scopeLogs?.[0]?.logRecords ?? []));
      }
    }
  }
  const all = [...spans.values()];
  const children = all.filter(({ parentSpanId = '' }) => spans.has(parentSpanId));
  expect(children.length).toBeGreaterThan(all.length / 2);
  for (const child of children) {
    const parent = spans.get(child.parentSpanId ?? '') as Span;
    expect(child.traceId).toBe(parent.traceId);
    expect(BigInt(child.startTimeUnixNano ?? 0) >= BigInt(parent.startTimeUnixNano ?? 0)).toBe(true);
    expect(BigInt(child.endTimeUnixNano ?? 0) <= BigInt(parent.endTimeUnixNano ?? 0)).toBe(true);
  }
  const placed = logs.filter(({ spanId = '' }) => spans.has(spanId));
  expect(placed.length).toBeGreaterThan(logs.length * 0.95); // Those of the last requests may still be on their way.
  const failed = all.filter(({ status }) => status?.code === 2).length / all.length;
  expect(failed).toBeGreaterThan(0.002);
  expect(failed).toBeLessThan(0.1);
  expect(logs.some(({ severityText }) => severityText === 'ERROR')).toBe(true);
});

it('measures counters and histograms that only grow', async () => {
  const { source, context, sim } = rig({ rate: 1_000, count: 10_000 });
  await sim.run(source.run());
  const highest = new Map<string, number>();
  for (const { signal, bytes } of context.accepted) {
    if (signal !== 'metrics') continue;
    for (const { resource, scopeMetrics } of decodeRequest('metrics', bytes)?.resourceMetrics ?? []) {
      for (const { name, sum, histogram } of scopeMetrics?.[0]?.metrics ?? []) {
        for (const point of sum?.dataPoints ?? []) check(name, resource?.attributes, Number(point.asInt ?? 0));
        for (const point of histogram?.dataPoints ?? []) {
          const total = (point.bucketCounts ?? []).reduce((total: number, each) => total + Number(each), 0);
          expect(total).toBe(Number(point.count ?? 0));
          check(name, resource?.attributes, total);
        }
      }
    }
  }
  function check(name: string | undefined, attributes: readonly KeyValue[] | undefined, value: number): void {
    const series = `${name} of ${textAt(attributes, 'service.name')}`;
    expect(value).toBeGreaterThanOrEqual(highest.get(series) ?? 0);
    highest.set(series, value);
  }
  expect(highest.size).toBe(15);
  expect(highest.get('http.server.requests of frontend')).toBeGreaterThan(100);
});
