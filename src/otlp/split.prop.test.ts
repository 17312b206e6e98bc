// Splitting against a model that decodes: protobufjs lists the events of a request, each with all its envelopes and
// their unknown fields; the lists of the parts, one after the other, are the list of the whole.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { arbitraryFutureRequest } from '../../test/otlp/arbitrary-request.ts';
import { independentDecode, independentEncode } from '../../test/otlp/independent-proto.ts';
import { splitEvents } from '../../test/otlp/split-events.ts';
import { checkRequest } from './check.ts';
import { concatenate } from './concatenate.ts';
import { countEvents } from './count.ts';
import { eachEvent } from './decode.ts';
import { type Signal, signals } from './signal.ts';
import { splitAt, splitToSize } from './split.ts';

type Plain = Record<string, unknown>;

const inner: Readonly<Record<Signal, readonly string[]>> = {
  logs: ['resourceLogs', 'scopeLogs', 'logRecords'],
  traces: ['resourceSpans', 'scopeSpans', 'spans'],
  metrics: ['resourceMetrics', 'scopeMetrics', 'metrics', 'data', 'dataPoints'],
};
const kinds = ['gauge', 'sum', 'histogram', 'exponentialHistogram', 'summary'];

/** Each event as text, with everything around it from the outside in. */
function modelOf(signal: Signal, bytes: Uint8Array): string[] {
  const found: string[] = [];
  const visit = (message: Plain, around: readonly unknown[], layers: readonly string[]): void => {
    const [name = '', ...below] = layers;
    if (name === 'data') {
      const kind = kinds.find((each) => message[each] !== undefined);
      if (kind === undefined) return;
      const { [kind]: data, ...rest } = message;
      visit(data as Plain, [...around, rest, kind], below);
      return;
    }
    const { [name]: list = [], ...rest } = message;
    for (const element of list as Plain[]) {
      if (below.length === 0) found.push(JSON.stringify([...around, rest, element]));
      else visit(element, [...around, rest], below);
    }
  };
  visit(independentDecode(signal, bytes), [], inner[signal]);
  return found;
}

function arbitraryBytes(signal: Signal): fc.Arbitrary<Uint8Array> {
  return arbitraryFutureRequest(signal).map((request) => independentEncode(signal, request));
}

describe.each(signals)('%s', (signal) => {
  it('counts what the model lists', () => {
    fc.assert(
      fc.property(arbitraryBytes(signal), (bytes) => {
        const events = modelOf(signal, bytes).length;
        expect(countEvents(signal, bytes)).toBe(events);
        expect([...(eachEvent(signal, bytes) ?? [])]).toHaveLength(events);
      }),
    );
  });

  it('cuts anywhere and keeps events, order and envelopes', () => {
    fc.assert(
      fc.property(arbitraryBytes(signal), fc.nat(), (bytes, random) => {
        const model = modelOf(signal, bytes);
        fc.pre(model.length > 1);
        const events = 1 + (random % (model.length - 1));
        const { head, tail } = splitAt(signal, bytes, events);
        expect(modelOf(signal, head)).toEqual(model.slice(0, events));
        expect(modelOf(signal, tail)).toEqual(model.slice(events));
        expect(checkRequest(signal, head)).toBe(events);
        expect(checkRequest(signal, tail)).toBe(model.length - events);
      }),
    );
  });

  it('cuts into single events in the order of eachEvent', () => {
    fc.assert(
      fc.property(arbitraryBytes(signal), (bytes) => {
        const parts = splitEvents(signal, bytes);
        expect(parts.flatMap((part) => modelOf(signal, part))).toEqual(modelOf(signal, bytes));
        expect(parts.map((part) => countEvents(signal, part))).toEqual(parts.map(() => 1));
        const together = [...(eachEvent(signal, bytes) ?? [])];
        expect(parts.flatMap((part) => [...(eachEvent(signal, part) ?? [])])).toEqual(together);
      }),
    );
  });

  it('cuts to a size, each part as large as it may be', () => {
    fc.assert(
      fc.property(arbitraryBytes(signal), fc.double({ min: 0.05, max: 1.1, noNaN: true }), (bytes, share) => {
        const limit = Math.ceil(bytes.length * share);
        const model = modelOf(signal, bytes);
        const parts = splitToSize(signal, bytes, limit);
        expect(parts.flatMap((part) => modelOf(signal, part))).toEqual(model);
        let rest = bytes;
        for (const part of parts.slice(0, -1)) {
          const events = countEvents(signal, part) ?? 0;
          // A part too large holds one event, or events whose envelopes are too large without them.
          if (part.length > limit && events > 1) expect(splitAt(signal, part, 1).head.length).toBeGreaterThan(limit);
          if (countEvents(signal, rest) === events + 1) break;
          if (part.length <= limit) expect(splitAt(signal, rest, events + 1).head.length).toBeGreaterThan(limit);
          rest = splitAt(signal, rest, events).tail;
        }
      }),
    );
  });

  it('merges: events of all parts in order', () => {
    fc.assert(
      fc.property(fc.array(arbitraryBytes(signal), { maxLength: 4 }), (parts) => {
        const whole = concatenate(parts);
        // The unknown fields of the requests themselves end up in one place; those of their messages stay.
        const inside = (text: string): string => JSON.stringify((JSON.parse(text) as unknown[]).slice(1));
        const separate = parts.flatMap((part) => modelOf(signal, part)).map(inside);
        expect(modelOf(signal, whole).map(inside)).toEqual(separate);
        const counts = parts.map((part) => countEvents(signal, part) ?? 0);
        expect(countEvents(signal, whole)).toBe(counts.reduce((sum, count) => sum + count, 0));
      }),
    );
  });
});
