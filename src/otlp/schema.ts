// The messages of OTLP: one table that encoding, decoding, JSON and the check of foreign bytes are driven by.
//
// A row says `number [repeated | optional | choice] kind`, the field names are those of OTLP/JSON. `optional` fields
// are written even if they hold their default; so are those of a `choice`, of which a message has one at most (every
// message of OTLP has at most one such choice). Source: opentelemetry-proto, {common,resource,logs,trace,metrics}/v1.
// A field that is new there costs one line here; until then it is an unknown field, carried along but not decoded.

import { assert } from '../base/assert.ts';
import type { Signal } from './signal.ts';
import { tagOf, wireFixed32, wireFixed64, wireLength, wireVarint } from './wire.ts';

const enums: Readonly<Record<string, ReadonlyMap<string, number>>> = {
  SeverityNumber: severityNames(),
  SpanKind: prefixed('SPAN_KIND_', ['UNSPECIFIED', 'INTERNAL', 'SERVER', 'CLIENT', 'PRODUCER', 'CONSUMER']),
  StatusCode: prefixed('STATUS_CODE_', ['UNSET', 'OK', 'ERROR']),
  AggregationTemporality: prefixed('AGGREGATION_TEMPORALITY_', ['UNSPECIFIED', 'DELTA', 'CUMULATIVE']),
};

export type Scalar =
  | 'string'
  | 'bytes'
  | 'traceId'
  | 'spanId'
  | 'bool'
  | 'int32'
  | 'uint32'
  | 'sint32'
  | 'int64'
  | 'uint64'
  | 'fixed32'
  | 'fixed64'
  | 'sfixed64'
  | 'double';

const wireTypes: Readonly<Record<Scalar, number>> = {
  string: wireLength,
  bytes: wireLength,
  traceId: wireLength,
  spanId: wireLength,
  bool: wireVarint,
  int32: wireVarint,
  uint32: wireVarint,
  sint32: wireVarint,
  int64: wireVarint,
  uint64: wireVarint,
  fixed32: wireFixed32,
  fixed64: wireFixed64,
  sfixed64: wireFixed64,
  double: wireFixed64,
};

const table: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  LogsRequest: { resourceLogs: '1 repeated ResourceLogs' },
  TracesRequest: { resourceSpans: '1 repeated ResourceSpans' },
  MetricsRequest: { resourceMetrics: '1 repeated ResourceMetrics' },

  ResourceLogs: { resource: '1 Resource', scopeLogs: '2 repeated ScopeLogs', schemaUrl: '3 string' },
  ResourceSpans: { resource: '1 Resource', scopeSpans: '2 repeated ScopeSpans', schemaUrl: '3 string' },
  ResourceMetrics: { resource: '1 Resource', scopeMetrics: '2 repeated ScopeMetrics', schemaUrl: '3 string' },
  ScopeLogs: { scope: '1 Scope', logRecords: '2 repeated LogRecord', schemaUrl: '3 string' },
  ScopeSpans: { scope: '1 Scope', spans: '2 repeated Span', schemaUrl: '3 string' },
  ScopeMetrics: { scope: '1 Scope', metrics: '2 repeated Metric', schemaUrl: '3 string' },

  Resource: {
    attributes: '1 repeated KeyValue',
    droppedAttributesCount: '2 uint32',
    entityRefs: '3 repeated EntityRef',
  },
  EntityRef: {
    schemaUrl: '1 string',
    type: '2 string',
    idKeys: '3 repeated string',
    descriptionKeys: '4 repeated string',
  },
  Scope: {
    name: '1 string',
    version: '2 string',
    attributes: '3 repeated KeyValue',
    droppedAttributesCount: '4 uint32',
  },
  KeyValue: { key: '1 string', value: '2 AnyValue', keyStrindex: '3 int32' },
  AnyValue: {
    stringValue: '1 choice string',
    boolValue: '2 choice bool',
    intValue: '3 choice int64',
    doubleValue: '4 choice double',
    arrayValue: '5 choice ArrayValue',
    kvlistValue: '6 choice KeyValueList',
    bytesValue: '7 choice bytes',
    stringValueStrindex: '8 choice int32',
  },
  ArrayValue: { values: '1 repeated AnyValue' },
  KeyValueList: { values: '1 repeated KeyValue' },

  LogRecord: {
    timeUnixNano: '1 fixed64',
    observedTimeUnixNano: '11 fixed64',
    severityNumber: '2 SeverityNumber',
    severityText: '3 string',
    body: '5 AnyValue',
    attributes: '6 repeated KeyValue',
    droppedAttributesCount: '7 uint32',
    flags: '8 fixed32',
    traceId: '9 traceId',
    spanId: '10 spanId',
    eventName: '12 string',
  },

  Span: {
    traceId: '1 traceId',
    spanId: '2 spanId',
    traceState: '3 string',
    parentSpanId: '4 spanId',
    flags: '16 fixed32',
    name: '5 string',
    kind: '6 SpanKind',
    startTimeUnixNano: '7 fixed64',
    endTimeUnixNano: '8 fixed64',
    attributes: '9 repeated KeyValue',
    droppedAttributesCount: '10 uint32',
    events: '11 repeated SpanEvent',
    droppedEventsCount: '12 uint32',
    links: '13 repeated SpanLink',
    droppedLinksCount: '14 uint32',
    status: '15 SpanStatus',
  },
  SpanEvent: {
    timeUnixNano: '1 fixed64',
    name: '2 string',
    attributes: '3 repeated KeyValue',
    droppedAttributesCount: '4 uint32',
  },
  SpanLink: {
    traceId: '1 traceId',
    spanId: '2 spanId',
    traceState: '3 string',
    attributes: '4 repeated KeyValue',
    droppedAttributesCount: '5 uint32',
    flags: '6 fixed32',
  },
  SpanStatus: { message: '2 string', code: '3 StatusCode' },

  Metric: {
    name: '1 string',
    description: '2 string',
    unit: '3 string',
    gauge: '5 choice Gauge',
    sum: '7 choice Sum',
    histogram: '9 choice Histogram',
    exponentialHistogram: '10 choice ExponentialHistogram',
    summary: '11 choice Summary',
    metadata: '12 repeated KeyValue',
  },
  Gauge: { dataPoints: '1 repeated NumberDataPoint' },
  Sum: {
    dataPoints: '1 repeated NumberDataPoint',
    aggregationTemporality: '2 AggregationTemporality',
    isMonotonic: '3 bool',
  },
  Histogram: {
    dataPoints: '1 repeated HistogramDataPoint',
    aggregationTemporality: '2 AggregationTemporality',
  },
  ExponentialHistogram: {
    dataPoints: '1 repeated ExponentialHistogramDataPoint',
    aggregationTemporality: '2 AggregationTemporality',
  },
  Summary: { dataPoints: '1 repeated SummaryDataPoint' },
  NumberDataPoint: {
    attributes: '7 repeated KeyValue',
    startTimeUnixNano: '2 fixed64',
    timeUnixNano: '3 fixed64',
    asDouble: '4 choice double',
    asInt: '6 choice sfixed64',
    exemplars: '5 repeated Exemplar',
    flags: '8 uint32',
  },
  HistogramDataPoint: {
    attributes: '9 repeated KeyValue',
    startTimeUnixNano: '2 fixed64',
    timeUnixNano: '3 fixed64',
    count: '4 fixed64',
    sum: '5 optional double',
    bucketCounts: '6 repeated fixed64',
    explicitBounds: '7 repeated double',
    exemplars: '8 repeated Exemplar',
    flags: '10 uint32',
    min: '11 optional double',
    max: '12 optional double',
  },
  ExponentialHistogramDataPoint: {
    attributes: '1 repeated KeyValue',
    startTimeUnixNano: '2 fixed64',
    timeUnixNano: '3 fixed64',
    count: '4 fixed64',
    sum: '5 optional double',
    scale: '6 sint32',
    zeroCount: '7 fixed64',
    positive: '8 Buckets',
    negative: '9 Buckets',
    flags: '10 uint32',
    exemplars: '11 repeated Exemplar',
    min: '12 optional double',
    max: '13 optional double',
    zeroThreshold: '14 double',
  },
  Buckets: { offset: '1 sint32', bucketCounts: '2 repeated uint64' },
  SummaryDataPoint: {
    attributes: '7 repeated KeyValue',
    startTimeUnixNano: '2 fixed64',
    timeUnixNano: '3 fixed64',
    count: '4 fixed64',
    sum: '5 double',
    quantileValues: '6 repeated ValueAtQuantile',
    flags: '8 uint32',
  },
  ValueAtQuantile: { quantile: '1 double', value: '2 double' },
  Exemplar: {
    filteredAttributes: '7 repeated KeyValue',
    timeUnixNano: '2 fixed64',
    asDouble: '3 choice double',
    asInt: '6 choice sfixed64',
    spanId: '4 spanId',
    traceId: '5 traceId',
  },

  LogsResponse: { partialSuccess: '1 LogsPartialSuccess' },
  TracesResponse: { partialSuccess: '1 TracesPartialSuccess' },
  MetricsResponse: { partialSuccess: '1 MetricsPartialSuccess' },
  LogsPartialSuccess: { rejectedLogRecords: '1 int64', errorMessage: '2 string' },
  TracesPartialSuccess: { rejectedSpans: '1 int64', errorMessage: '2 string' },
  MetricsPartialSuccess: { rejectedDataPoints: '1 int64', errorMessage: '2 string' },
  /** google.rpc.Status: the body of an answer that refuses. */
  RpcStatus: { code: '1 int32', message: '2 string' },
};

export interface Field {
  readonly number: number;
  /** As in OTLP/JSON: camelCase. */
  readonly name: string;
  readonly kind: Scalar | 'enum' | 'message';
  readonly repeated: boolean;
  /** Repeated numbers, that are written side by side behind one length. */
  readonly packed: boolean;
  /** Written even if it holds its default. */
  readonly explicit: boolean;
  /** Only one of the fields of its message that have this may be there. */
  readonly choice: boolean;
  /** Wire type of a single value. */
  readonly wireType: number;
  /** The tag it is written with: that of a length if it is packed. */
  readonly tag: number;
  /** Only for `message`. */
  readonly message: Message | undefined;
  /** Only for `enum`. */
  readonly values: ReadonlyMap<string, number> | undefined;
}

export interface Message {
  readonly name: string;
  readonly fields: readonly Field[];
  readonly byNumber: readonly (Field | undefined)[];
  /** By both spellings that protobuf's JSON allows: `timeUnixNano` and `time_unix_nano`. */
  readonly byName: ReadonlyMap<string, Field>;
}

const messages = compile();

export function messageOf(name: string): Message {
  const message = messages.get(name);
  assert(message !== undefined, 'a message that is asked for is in the table', { name });
  return message;
}

export const requestOf: Readonly<Record<Signal, Message>> = {
  logs: messageOf('LogsRequest'),
  traces: messageOf('TracesRequest'),
  metrics: messageOf('MetricsRequest'),
};

/** The fields between a request and its events, from the outside in; of metrics, up to the metric. */
export const pathOf: Readonly<Record<Signal, readonly [string, string, string]>> = {
  logs: ['resourceLogs', 'scopeLogs', 'logRecords'],
  traces: ['resourceSpans', 'scopeSpans', 'spans'],
  metrics: ['resourceMetrics', 'scopeMetrics', 'metrics'],
};

/** As many messages inside messages as protobuf's own decoders take by default. */
export const nestingMax = 100;

/**
 * Messages in a request. Two bytes are enough for one that takes a hundred once it is decoded: the memory of a small
 * container would not hold a request of nothing else. Dense telemetry has one in ten bytes.
 */
export const messagesMax = 2_000_000;

interface Draft extends Message {
  readonly fields: Field[];
  readonly byNumber: (Field | undefined)[];
  readonly byName: Map<string, Field>;
}

function compile(): ReadonlyMap<string, Message> {
  const drafts = new Map<string, Draft>();
  for (const name of Object.keys(table)) drafts.set(name, { name, fields: [], byNumber: [], byName: new Map() });
  for (const { name, fields, byNumber, byName } of drafts.values()) {
    for (const [fieldName, row] of Object.entries(table[name] ?? {})) {
      const field = compileField(fieldName, row, drafts);
      fields.push(field);
      byNumber[field.number] = field;
      byName.set(fieldName, field).set(snakeCase(fieldName), field);
    }
  }
  return drafts;
}

function compileField(name: string, row: string, drafts: ReadonlyMap<string, Message>): Field {
  const words = row.split(' ');
  const type = words.at(-1) ?? '';
  const number = Number(words[0]);
  const rule = words.length === 3 ? words[1] : '';
  const message = drafts.get(type);
  const values = enums[type];
  const kind = message !== undefined ? 'message' : values !== undefined ? 'enum' : (type as Scalar);
  const wireType = kind === 'message' ? wireLength : kind === 'enum' ? wireVarint : wireTypes[kind];
  assert(wireType !== undefined && number >= 1 && number < 32, 'a row names a number and a kind', { name, row });
  const packed = rule === 'repeated' && wireType !== wireLength;
  return {
    number,
    name,
    kind,
    repeated: rule === 'repeated',
    packed,
    explicit: rule === 'optional' || rule === 'choice',
    choice: rule === 'choice',
    wireType,
    tag: tagOf(number, packed ? wireLength : wireType),
    message,
    values,
  };
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function prefixed(prefix: string, names: readonly string[]): ReadonlyMap<string, number> {
  return new Map(names.map((name, value) => [`${prefix}${name}`, value]));
}

function severityNames(): ReadonlyMap<string, number> {
  const levels = ['TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL'];
  const names = levels.flatMap((level) => [level, `${level}2`, `${level}3`, `${level}4`]);
  return prefixed('SEVERITY_NUMBER_', ['UNSPECIFIED', ...names]);
}
