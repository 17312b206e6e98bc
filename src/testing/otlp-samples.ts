// Small OTLP requests for tests, put together by hand: each event carries its number as a text, `event-000042`, which
// can be found again wherever a sink put it, in protobuf, JSON or plain lines.
//
// The encoder knows nothing of src/otlp: what both say of a request has to agree.

import type { Signal, TelemetryBatch } from '../otlp/signal.ts';
import type { SinkBatch, SinkRecord } from '../pipeline/contract/sink.ts';

/** The identity of the buffer that sample batches come from. */
export const sampleOriginUuid = '0b1e9c52-6f0d-4c5a-9d2e-5a1f4b7c8d90';

/** 2025-06-15 15:06:40 UTC, in nanoseconds; each event is a millisecond after the one before. */
const firstTimeNs = 1_750_000_000_000_000_000n;

/** What event number `id` is called. */
export function markerOf(id: number): string {
  return `event-${String(id).padStart(6, '0')}`;
}

/** The markers of consecutive events. */
export function markersOf(firstId: number, events: number): string[] {
  return Array.from({ length: events }, (_, index) => markerOf(firstId + index));
}

/** Every marker in a text or in bytes, in the order in which they stand there. */
export function markersIn(content: string | Uint8Array): string[] {
  const text = typeof content === 'string' ? content : Buffer.from(content).toString('latin1');
  return text.match(/event-\d{6}/g) ?? [];
}

/** A request with `events` events, the first of which has the number `firstId`. `text` follows each marker. */
export function sampleRequest(signal: Signal, firstId: number, events: number, text: string = ''): TelemetryBatch {
  const all = Array.from({ length: events }, (_, index) => eventOf(signal, firstId + index, text));
  const resource = message(1, message(1, string(1, 'service.name'), message(2, string(1, 'sample'))));
  const scope = message(2, message(1, string(1, 'sample')), ...all);
  return { signal, events, bytes: Uint8Array.from(message(1, resource, scope)) };
}

/** A record as a sink gets it; ids are the numbers of its events. */
export function sampleRecord(signal: Signal, firstId: number, events: number, text?: string): SinkRecord {
  return { ...sampleRequest(signal, firstId, events, text), id: firstId, origin: `${sampleOriginUuid}/1` };
}

/** A batch of records with so many events each, numbered from `firstId` without a gap. */
export function sampleBatch(
  signal: Signal,
  firstId: number,
  eventsOfRecords: readonly number[],
  text?: string,
): SinkBatch {
  let next = firstId;
  const records = eventsOfRecords.map((events) => {
    const record = sampleRecord(signal, next, events, text);
    next += events;
    return record;
  });
  return sampleBatchOf(signal, records);
}

/** These records as a batch. */
export function sampleBatchOf(signal: Signal, records: readonly SinkRecord[]): SinkBatch {
  const merged = records.length === 1 ? records[0]?.bytes : undefined;
  return {
    signal,
    records,
    events: records.reduce((sum, record) => sum + record.events, 0),
    byteLength: records.reduce((sum, record) => sum + record.bytes.length, 0),
    merged: () => merged ?? Uint8Array.from(Buffer.concat(records.map(({ bytes }) => bytes))),
  };
}

function eventOf(signal: Signal, id: number, text: string): Uint8Array {
  const name = markerOf(id) + text;
  const timeNs = firstTimeNs + BigInt(id) * 1_000_000n;
  switch (signal) {
    case 'logs':
      return message(2, fixed64(1, timeNs), varint(2, 9), message(5, string(1, name)));
    case 'traces':
      return message(
        2,
        bytes(1, identity(id, 16)),
        bytes(2, identity(id, 8)),
        string(5, name),
        varint(6, 1),
        fixed64(7, timeNs),
        fixed64(8, timeNs + 1_000_000n),
      );
    case 'metrics':
      return message(2, string(1, name), message(5, message(1, fixed64(3, timeNs), fixed64(6, BigInt(id)))));
  }
}

/** Never all zeros, which would be invalid. */
function identity(id: number, length: number): Uint8Array {
  const result = new Uint8Array(length).fill(1);
  new DataView(result.buffer).setUint32(length - 4, id);
  return result;
}

function message(field: number, ...parts: readonly Uint8Array[]): Uint8Array {
  return bytes(field, Buffer.concat(parts));
}

function string(field: number, text: string): Uint8Array {
  return bytes(field, Buffer.from(text));
}

function bytes(field: number, content: Uint8Array): Uint8Array {
  return Buffer.concat([Uint8Array.from([...digits((field << 3) | 2), ...digits(content.length)]), content]);
}

function varint(field: number, value: number): Uint8Array {
  return Uint8Array.from([...digits(field << 3), ...digits(value)]);
}

function fixed64(field: number, value: bigint): Uint8Array {
  const result = new Uint8Array(9);
  result[0] = (field << 3) | 1;
  new DataView(result.buffer).setBigUint64(1, value, true);
  return result;
}

/** Seven bits each, the lowest first; all but the last have their high bit set. */
function digits(value: number): number[] {
  const result: number[] = [];
  let rest = value;
  for (; rest > 127; rest >>>= 7) result.push((rest & 127) | 128);
  result.push(rest);
  return result;
}
