// Makes plain objects in the shape of OTLP/JSON (request.ts) of requests, driven by the table of messages (schema.ts).
//
// For sinks that need fields; what only passes through is never decoded. Unknown fields are left out; a field that
// comes twice counts as protobuf has it: the last one, or both joined if it is a message. A known field of a wrong wire
// type, anything cut or malformed at any depth, more than `nestingMax` levels and more than `messagesMax` messages make
// the whole request undefined. Lenient where the sense is kept: ids may have any length, and bytes that are no UTF-8
// become U+FFFD.
import { decimalOfSigned, decimalOfUnsigned } from './integers.ts';
import type { DataPoint, KeyValue, LogRecord, Metric, RequestOf, Resource, Scope, Span } from './request.ts';
import { type Field, type Message, messageOf, messagesMax, nestingMax, pathOf, requestOf } from './schema.ts';
import type { Signal } from './signal.ts';
import { fieldNumberOf, malformed, WireReader, wireFixed32, wireFixed64, wireLength, wireVarint } from './wire.ts';
import { unzigzag } from './wire-writer.ts';

type Plain = Record<string, unknown>;

const metricMessage = messageOf('Metric');
const metricKinds: readonly MetricKind[] = ['gauge', 'sum', 'histogram', 'exponentialHistogram', 'summary'];

/** Undefined: malformed. Then countEvents says so, too, or the fault is deeper than it looks. */
export function decodeRequest<Kind extends Signal>(signal: Kind, bytes: Uint8Array): RequestOf[Kind] | undefined {
  return decodeMessage(requestOf[signal], bytes) as RequestOf[Kind] | undefined;
}

/** Undefined: malformed. */
export function decodeMessage(message: Message, bytes: Uint8Array): object | undefined {
  const target = {};
  return new Decoder(bytes).message(message, target, { start: 0, end: bytes.length, depth: 0 }) ? target : undefined;
}

export type MetricKind = 'gauge' | 'sum' | 'histogram' | 'exponentialHistogram' | 'summary';

/** The metric that a data point belongs to, without its points. */
export interface MetricOfPoint {
  readonly kind: MetricKind;
  readonly name: string;
  readonly description: string;
  readonly unit: string;
  readonly metadata: readonly KeyValue[];
  /** 0 where the kind has none. */
  readonly aggregationTemporality: number;
  readonly isMonotonic: boolean;
}

/** An event with what it belongs to. Resource and scope are the same objects for all events that share them. */
export interface TelemetryEvent {
  readonly resource: Resource;
  readonly scope: Scope;
  readonly event: LogRecord | Span | DataPoint;
  /** For data points only. */
  readonly metric?: MetricOfPoint;
}

/** The events of a request in the order in which they are counted; undefined: malformed. */
export function eachEvent(signal: Signal, bytes: Uint8Array): Iterable<TelemetryEvent> | undefined {
  const request = decodeRequest(signal, bytes);
  return request === undefined ? undefined : eventsOf(signal, request);
}

/** The events of a request that is decoded already. */
export function* eventsOf(signal: Signal, request: object): Generator<TelemetryEvent, void, undefined> {
  const [resources, scopes, events] = pathOf[signal];
  for (const forResource of listOf(request, resources)) {
    const resource = (forResource['resource'] ?? {}) as Resource;
    for (const forScope of listOf(forResource, scopes)) {
      const scope = (forScope['scope'] ?? {}) as Scope;
      for (const event of listOf(forScope, events)) {
        if (signal !== 'metrics') yield { resource, scope, event };
        else yield* pointsOf(event as Metric, resource, scope);
      }
    }
  }
}

function* pointsOf(metric: Metric, resource: Resource, scope: Scope): Generator<TelemetryEvent, void, undefined> {
  const kind = metricKinds.find((name) => metric[name] !== undefined);
  if (kind === undefined) return;
  const data = metric[kind] as NonNullable<Metric['sum']>;
  const around = metricOfPoints(metric, kind, data);
  for (const event of data.dataPoints ?? []) yield { resource, scope, event, metric: around };
}

export function metricOfPoints(metric: Metric, kind: MetricKind, data: NonNullable<Metric['sum']>): MetricOfPoint {
  const { name = '', description = '', unit = '', metadata = [] } = metric;
  const { aggregationTemporality = 0, isMonotonic = false } = data;
  return { kind, name, description, unit, metadata, aggregationTemporality, isMonotonic };
}

function listOf(message: object, name: string): readonly Plain[] {
  return ((message as Plain)[name] ?? []) as readonly Plain[];
}

/** A part of the bytes, and how many messages inside each other it is in. */
export interface Part {
  readonly start: number;
  readonly end: number;
  readonly depth: number;
}

/** Reads messages that lie in the same bytes. */
export class Decoder {
  readonly #bytes: Buffer;
  readonly #view: DataView;
  readonly #reader: WireReader;
  /** How many messages were read, for the bound on them. Those of one request count together. */
  messageCount: number = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#reader = new WireReader(bytes);
  }

  /** Reads a message into `target`. False: it is malformed. */
  message(message: Message, target: object, { start, end, depth }: Part): boolean {
    this.#reader.position = start;
    return this.#message(message, target as Plain, end, depth);
  }

  /** Reads some of a message's fields, that lie side by side, into `target`. False: they are malformed. */
  fields(message: Message, target: object, { start, end, depth }: Part): boolean {
    this.#reader.position = start;
    return this.#fields(message, target as Plain, end, depth);
  }

  #message(message: Message, target: Plain, end: number, depth: number): boolean {
    this.messageCount += 1;
    if (depth > nestingMax || this.messageCount > messagesMax) return false;
    return this.#fields(message, target, end, depth);
  }

  #fields(message: Message, target: Plain, end: number, depth: number): boolean {
    const reader = this.#reader;
    while (reader.position < end) {
      const tag = reader.tag(end);
      if (tag === malformed) return false;
      const field = message.byNumber[fieldNumberOf(tag)];
      if (field === undefined) {
        if (!reader.skip(tag, end)) return false;
        continue;
      }
      if (field.choice && !choose(message, field, target)) return false;
      const taken = field.repeated
        ? this.#element(field, target, tag & 7, end, depth)
        : (tag & 7) === field.wireType && this.#single(field, target, end, depth);
      if (!taken) return false;
    }
    return true;
  }

  #single(field: Field, target: Plain, end: number, depth: number): boolean {
    if (field.message === undefined) {
      const value = this.#scalar(field, end);
      target[field.name] = value;
      return value !== undefined;
    }
    const inner = (target[field.name] ?? {}) as Plain; // There already: protobuf joins the two.
    target[field.name] = inner;
    return this.#inner(field.message, inner, end, depth);
  }

  #element(field: Field, target: Plain, wireType: number, end: number, depth: number): boolean {
    const known = (target[field.name] ?? []) as unknown[];
    target[field.name] = known;
    if (field.message !== undefined) {
      const inner: Plain = {};
      known.push(inner);
      return wireType === wireLength && this.#inner(field.message, inner, end, depth);
    }
    if (field.packed && wireType === wireLength) return this.#packed(field, known, end);
    const value = this.#scalar(field, end);
    known.push(value);
    return wireType === field.wireType && value !== undefined;
  }

  #packed(field: Field, known: unknown[], end: number): boolean {
    const next = this.#reader.lengthEnd(end);
    if (next === malformed) return false;
    while (this.#reader.position < next) {
      const value = this.#scalar(field, next);
      if (value === undefined) return false;
      known.push(value);
    }
    return true;
  }

  #inner(message: Message, target: Plain, end: number, depth: number): boolean {
    const next = this.#reader.lengthEnd(end);
    return next !== malformed && this.#message(message, target, next, depth + 1);
  }

  #scalar(field: Field, end: number): unknown {
    const reader = this.#reader;
    switch (field.wireType) {
      case wireVarint:
        return reader.varint(end) ? varintValue(field, reader.low, reader.high) : undefined;
      case wireLength: {
        const next = reader.lengthEnd(end);
        if (next === malformed) return undefined;
        const start = reader.position;
        reader.position = next;
        if (field.kind === 'string') return this.#bytes.toString('utf8', start, next);
        return this.#bytes.toString(field.kind === 'bytes' ? 'base64' : 'hex', start, next);
      }
      default:
        return this.#fixed(field, end);
    }
  }

  #fixed(field: Field, end: number): unknown {
    const at = this.#reader.position;
    const next = at + (field.wireType === wireFixed32 ? 4 : 8);
    if (next > end) return undefined;
    this.#reader.position = next;
    if (field.wireType !== wireFixed64) return this.#view.getUint32(at, true);
    if (field.kind === 'double') return double(this.#view.getFloat64(at, true));
    const low = this.#view.getUint32(at, true);
    const high = this.#view.getUint32(at + 4, true);
    return field.kind === 'sfixed64' ? decimalOfSigned(low, high) : decimalOfUnsigned(low, high);
  }
}

/** Makes the field the only one of its choice. False: two kinds of data in a metric (layers.ts). */
function choose(message: Message, chosen: Field, target: Plain): boolean {
  for (const key in target) {
    if (key === chosen.name || message.byName.get(key)?.choice !== true) continue;
    if (message === metricMessage) return false;
    delete target[key];
  }
  return true;
}

function varintValue(field: Field, low: number, high: number): unknown {
  switch (field.kind) {
    case 'bool':
      return low !== 0 || high !== 0;
    case 'int64':
      return decimalOfSigned(low, high);
    case 'uint64':
      return decimalOfUnsigned(low, high);
    case 'uint32':
      return low;
    case 'sint32':
      return unzigzag(low);
    default:
      return low | 0;
  }
}

/** JSON has no numbers for three of them. */
function double(value: number): number | string {
  return Number.isFinite(value) ? value : String(value);
}
