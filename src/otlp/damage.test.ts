// Damaged requests, exhaustively: cut at every byte, every bit flipped, every byte doubled. Whatever the bytes are,
// nothing throws, nothing is invented, and all readers of bytes are of one opinion.
import { describe, expect, it } from 'vitest';
import { fullRequestEvents, fullRequests } from '../../test/otlp/full-request.ts';
import { independentDecode } from '../../test/otlp/independent-proto.ts';
import { splitEvents } from '../../test/otlp/split-events.ts';
import { checkRequest } from './check.ts';
import { countEvents } from './count.ts';
import { decodeRequest, eachEvent } from './decode.ts';
import { encodeMessage, encodeRequest } from './encode.ts';
import { jsonToRequest, requestToJson } from './json.ts';
import type { AnyValue } from './request.ts';
import { messageOf } from './schema.ts';
import { type Signal, signals } from './signal.ts';
import { splitAt, splitToSize } from './split.ts';

/** What the readers disagree about; undefined: they agree. */
function disagreement(signal: Signal, bytes: Uint8Array): string | undefined {
  const count = countEvents(signal, bytes);
  const checked = checkRequest(signal, bytes);
  const decoded = eachEvent(signal, bytes);
  const events = decoded === undefined ? undefined : [...decoded];
  if (count === undefined) {
    return checked !== undefined || events !== undefined ? 'not countable, but sound or decodable' : undefined;
  }
  if (checked !== undefined && (events === undefined || checked !== count)) return 'sound, but not decodable';
  if (events !== undefined && events.length !== count) return 'decoded another number than counted';
  const parts = splitEvents(signal, bytes);
  if (parts.length !== count) return 'split into another number than counted';
  if (parts.some((part) => countEvents(signal, part) !== 1)) return 'split into a part without its event';
  if (count < 2) return undefined;
  const { head, tail } = splitAt(signal, bytes, 1);
  const halves = [...(eachEvent(signal, head) ?? []), ...(eachEvent(signal, tail) ?? [])];
  if (events !== undefined && JSON.stringify(halves) !== JSON.stringify(events)) {
    return 'halves with other events';
  }
  const sized = splitToSize(signal, bytes, Math.floor(bytes.length / 2)).map((part) => countEvents(signal, part) ?? 0);
  return sized.reduce((sum, each) => sum + each, 0) === count ? undefined : 'cut to size with other events';
}

/** Places of what the readers disagree about. */
function disagreements(signal: Signal, variants: Iterable<Uint8Array>): string[] {
  const found: string[] = [];
  let index = 0;
  for (const bytes of variants) {
    const problem = disagreement(signal, bytes);
    if (problem !== undefined) found.push(`variant ${index}: ${problem}: ${Buffer.from(bytes).toString('hex')}`);
    index += 1;
  }
  return found;
}

function* flipped(bytes: Uint8Array): Generator<Uint8Array> {
  for (let bit = 0; bit < bytes.length * 8; bit += 1) {
    const copy = Uint8Array.from(bytes);
    copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    yield copy;
  }
}

function* doubled(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 1) {
    yield Uint8Array.from([...bytes.subarray(0, at + 1), ...bytes.subarray(at)]);
  }
}

describe.each(signals)('%s', (signal) => {
  const bytes = encodeRequest(signal, fullRequests[signal]);

  it('whole: everything is there', () => {
    expect(decodeRequest(signal, bytes)).toEqual(fullRequests[signal]);
    expect(independentDecode(signal, bytes)).toEqual(fullRequests[signal]);
    expect(checkRequest(signal, bytes)).toBe(fullRequestEvents[signal]);
    expect(countEvents(signal, bytes)).toBe(fullRequestEvents[signal]);
    expect(disagreement(signal, bytes)).toBeUndefined();
  });

  it('cut at every byte: never more events, and none where a message is cut', () => {
    const cuts = Array.from(bytes, (_, length) => bytes.subarray(0, length));
    expect(disagreements(signal, cuts)).toEqual([]);
    const counts = cuts.map((cut) => countEvents(signal, cut));
    expect(counts[0]).toBe(0);
    // All of it is inside of messages of the request: only a cut between two of them is a request.
    const starts = counts.flatMap((count, length) => (count === undefined ? [] : [length]));
    expect(starts).toHaveLength(signal === 'logs' ? 2 : 1);
  });

  it('every bit flipped: all readers agree', () => {
    expect(disagreements(signal, flipped(bytes))).toEqual([]);
  });

  it('every byte doubled: all readers agree', () => {
    expect(disagreements(signal, doubled(bytes))).toEqual([]);
  });

  it('what is sound, protobufjs decodes', () => {
    for (const variant of flipped(bytes)) {
      if (checkRequest(signal, variant) === undefined) continue;
      try {
        independentDecode(signal, variant);
      } catch (error) {
        expect(String(error)).toMatch(/utf-8/); // Receivers differ about text that is none; ours takes it.
      }
    }
  });

  it('another signal: never more than its envelopes', () => {
    for (const other of signals.filter((each) => each !== signal)) {
      expect(checkRequest(other, bytes)).toBeUndefined();
      expect(decodeRequest(other, bytes)).toBeUndefined();
      expect(requestToJson(other, bytes)).toBeUndefined();
    }
  });
});

describe('nesting', () => {
  /** A record whose body holds arrays inside each other and, innermost, a list of keys and values if wanted. */
  function nested(arrays: number, keyValueLists: number): AnyValue {
    let value: AnyValue = { boolValue: true };
    for (let level = 0; level < keyValueLists; level += 1) value = { kvlistValue: { values: [{ value }] } };
    for (let level = 0; level < arrays; level += 1) value = { arrayValue: { values: [value] } };
    return value;
  }

  // Request, resource, scope, record and value are 0 to 4; an array adds two levels, a list of keys and values three.
  it.each([
    [48, 0, true],
    [46, 1, true],
    [47, 1, false],
    [49, 0, false],
  ])('%d arrays and %d lists: taken %s', (arrays, keyValueLists, isTaken) => {
    const body = nested(arrays, keyValueLists);
    const request = { resourceLogs: [{ scopeLogs: [{ logRecords: [{ body }] }] }] };
    let bytes = encodeMessage(messageOf('AnyValue'), body); // By itself it is not nested too deep.
    for (const tag of [0x2a, 0x12, 0x12, 0x0a]) {
      bytes = Uint8Array.from([tag, (bytes.length & 0x7f) | 0x80, bytes.length >> 7, ...bytes]);
    }
    if (isTaken) expect(independentDecode('logs', bytes)).toEqual(request);
    else expect(() => independentDecode('logs', bytes)).toThrow('max depth exceeded');
    expect(countEvents('logs', bytes)).toBe(1);
    expect(checkRequest('logs', bytes)).toBe(isTaken ? 1 : undefined);
    expect(decodeRequest('logs', bytes)).toEqual(isTaken ? request : undefined);
    expect(jsonToRequest('logs', JSON.stringify(request)).ok).toBe(isTaken);
  });

  it('does not overflow the stack on a body of nothing but nesting', () => {
    const size = 3_000_000;
    const bytes = new Uint8Array(size);
    let at = size;
    // Lengths of four bytes, which is more than the inner ones need.
    for (let tag = 0x0a; at > 64; tag = tag === 0x0a ? 0x2a : 0x0a) {
      const length = size - at;
      at -= 5;
      bytes.set(
        [tag, (length & 0x7f) | 0x80, ((length >> 7) & 0x7f) | 0x80, ((length >> 14) & 0x7f) | 0x80, length >> 21],
        at,
      );
    }
    for (const tag of [0x2a, 0x12, 0x12, 0x0a]) {
      const length = size - at;
      at -= 5;
      bytes.set(
        [tag, (length & 0x7f) | 0x80, ((length >> 7) & 0x7f) | 0x80, ((length >> 14) & 0x7f) | 0x80, length >> 21],
        at,
      );
    }
    const request = bytes.subarray(at);
    expect(countEvents('logs', request)).toBe(1);
    expect(checkRequest('logs', request)).toBeUndefined();
    expect(decodeRequest('logs', request)).toBeUndefined();
  });
});
