// OTLP as protobufjs reads and writes it: a second opinion on our bytes that shares neither code nor table with them.
//
// The definitions below state what the public ones of opentelemetry-proto v1 say. Envelopes have one field more,
// `future`, as a later version might: to us it is an unknown field that has to survive.
import protobuf from 'protobufjs';
import type { Signal } from '../../src/otlp/signal.ts';

const definitions = `
syntax = "proto3";
message AnyValue {
  oneof value {
    string string_value = 1; bool bool_value = 2; int64 int_value = 3; double double_value = 4;
    ArrayValue array_value = 5; KeyValueList kvlist_value = 6; bytes bytes_value = 7; int32 string_value_strindex = 8;
  }
}
message ArrayValue { repeated AnyValue values = 1; }
message KeyValueList { repeated KeyValue values = 1; }
message KeyValue { string key = 1; AnyValue value = 2; int32 key_strindex = 3; }
message InstrumentationScope {
  string name = 1; string version = 2; repeated KeyValue attributes = 3; uint32 dropped_attributes_count = 4;
}
message EntityRef {
  string schema_url = 1; string type = 2; repeated string id_keys = 3; repeated string description_keys = 4;
}
message Resource {
  repeated KeyValue attributes = 1; uint32 dropped_attributes_count = 2; repeated EntityRef entity_refs = 3;
}

message ExportLogsServiceRequest { repeated ResourceLogs resource_logs = 1; string future = 900; }
message ResourceLogs {
  Resource resource = 1; repeated ScopeLogs scope_logs = 2; string schema_url = 3; string future = 900;
}
message ScopeLogs {
  InstrumentationScope scope = 1; repeated LogRecord log_records = 2; string schema_url = 3; string future = 900;
}
message LogRecord {
  fixed64 time_unix_nano = 1; fixed64 observed_time_unix_nano = 11; int32 severity_number = 2;
  string severity_text = 3; AnyValue body = 5; repeated KeyValue attributes = 6; uint32 dropped_attributes_count = 7;
  fixed32 flags = 8; bytes trace_id = 9; bytes span_id = 10; string event_name = 12; string future = 900;
}

message ExportTraceServiceRequest { repeated ResourceSpans resource_spans = 1; string future = 900; }
message ResourceSpans {
  Resource resource = 1; repeated ScopeSpans scope_spans = 2; string schema_url = 3; string future = 900;
}
message ScopeSpans {
  InstrumentationScope scope = 1; repeated Span spans = 2; string schema_url = 3; string future = 900;
}
message Span {
  bytes trace_id = 1; bytes span_id = 2; string trace_state = 3; bytes parent_span_id = 4; fixed32 flags = 16;
  string name = 5; int32 kind = 6; fixed64 start_time_unix_nano = 7; fixed64 end_time_unix_nano = 8;
  repeated KeyValue attributes = 9; uint32 dropped_attributes_count = 10;
  repeated Event events = 11; uint32 dropped_events_count = 12;
  repeated Link links = 13; uint32 dropped_links_count = 14; Status status = 15; string future = 900;
  message Event {
    fixed64 time_unix_nano = 1; string name = 2; repeated KeyValue attributes = 3; uint32 dropped_attributes_count = 4;
  }
  message Link {
    bytes trace_id = 1; bytes span_id = 2; string trace_state = 3; repeated KeyValue attributes = 4;
    uint32 dropped_attributes_count = 5; fixed32 flags = 6;
  }
}
message Status { string message = 2; int32 code = 3; }

message ExportMetricsServiceRequest { repeated ResourceMetrics resource_metrics = 1; string future = 900; }
message ResourceMetrics {
  Resource resource = 1; repeated ScopeMetrics scope_metrics = 2; string schema_url = 3; string future = 900;
}
message ScopeMetrics {
  InstrumentationScope scope = 1; repeated Metric metrics = 2; string schema_url = 3; string future = 900;
}
message Metric {
  string name = 1; string description = 2; string unit = 3; repeated KeyValue metadata = 12; string future = 900;
  oneof data {
    Gauge gauge = 5; Sum sum = 7; Histogram histogram = 9; ExponentialHistogram exponential_histogram = 10;
    Summary summary = 11;
  }
}
message Gauge { repeated NumberDataPoint data_points = 1; string future = 900; }
message Sum {
  repeated NumberDataPoint data_points = 1; int32 aggregation_temporality = 2; bool is_monotonic = 3;
  string future = 900;
}
message Histogram {
  repeated HistogramDataPoint data_points = 1; int32 aggregation_temporality = 2; string future = 900;
}
message ExponentialHistogram {
  repeated ExponentialHistogramDataPoint data_points = 1; int32 aggregation_temporality = 2; string future = 900;
}
message Summary { repeated SummaryDataPoint data_points = 1; string future = 900; }
message NumberDataPoint {
  repeated KeyValue attributes = 7; fixed64 start_time_unix_nano = 2; fixed64 time_unix_nano = 3;
  oneof value { double as_double = 4; sfixed64 as_int = 6; }
  repeated Exemplar exemplars = 5; uint32 flags = 8; string future = 900;
}
message HistogramDataPoint {
  repeated KeyValue attributes = 9; fixed64 start_time_unix_nano = 2; fixed64 time_unix_nano = 3; fixed64 count = 4;
  optional double sum = 5; repeated fixed64 bucket_counts = 6; repeated double explicit_bounds = 7;
  repeated Exemplar exemplars = 8; uint32 flags = 10; optional double min = 11; optional double max = 12;
  string future = 900;
}
message ExponentialHistogramDataPoint {
  repeated KeyValue attributes = 1; fixed64 start_time_unix_nano = 2; fixed64 time_unix_nano = 3; fixed64 count = 4;
  optional double sum = 5; sint32 scale = 6; fixed64 zero_count = 7; Buckets positive = 8; Buckets negative = 9;
  uint32 flags = 10; repeated Exemplar exemplars = 11; optional double min = 12; optional double max = 13;
  double zero_threshold = 14; string future = 900;
  message Buckets { sint32 offset = 1; repeated uint64 bucket_counts = 2; }
}
message SummaryDataPoint {
  repeated KeyValue attributes = 7; fixed64 start_time_unix_nano = 2; fixed64 time_unix_nano = 3; fixed64 count = 4;
  double sum = 5; repeated ValueAtQuantile quantile_values = 6; uint32 flags = 8; string future = 900;
  message ValueAtQuantile { double quantile = 1; double value = 2; }
}
message Exemplar {
  repeated KeyValue filtered_attributes = 7; fixed64 time_unix_nano = 2;
  oneof value { double as_double = 3; sfixed64 as_int = 6; }
  bytes span_id = 4; bytes trace_id = 5;
}

message ExportLogsServiceResponse { ExportLogsPartialSuccess partial_success = 1; }
message ExportLogsPartialSuccess { int64 rejected_log_records = 1; string error_message = 2; }
message ExportTraceServiceResponse { ExportTracePartialSuccess partial_success = 1; }
message ExportTracePartialSuccess { int64 rejected_spans = 1; string error_message = 2; }
message ExportMetricsServiceResponse { ExportMetricsPartialSuccess partial_success = 1; }
message ExportMetricsPartialSuccess { int64 rejected_data_points = 1; string error_message = 2; }
message RpcStatus { int32 code = 1; string message = 2; }
`;

const root = protobuf.parse(definitions).root;
const services: Readonly<Record<Signal, string>> = { logs: 'Logs', traces: 'Trace', metrics: 'Metrics' };

export type IndependentMessage = Signal | `${Signal} response` | 'status';

function typeOf(message: IndependentMessage): protobuf.Type {
  if (message === 'status') return root.lookupType('RpcStatus');
  const [signal, response] = message.split(' ') as [Signal, string | undefined];
  return root.lookupType(`Export${services[signal]}Service${response === undefined ? 'Request' : 'Response'}`);
}

/** Ids are hex in OTLP/JSON and base64 in the JSON of protobuf. */
function recodeIds(value: unknown, from: BufferEncoding, to: BufferEncoding): unknown {
  if (Array.isArray(value)) return value.map((element) => recodeIds(element, from, to));
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([key, member]) => [
    key,
    /^(?:traceId|spanId|parentSpanId)$/.test(key)
      ? Buffer.from(member as string, from).toString(to)
      : recodeIds(member, from, to),
  ]);
  return Object.fromEntries(entries);
}

/** In the shape of OTLP/JSON. Throws if the bytes are malformed. */
export function independentDecode(message: IndependentMessage, bytes: Uint8Array): Record<string, unknown> {
  const type = typeOf(message);
  const plain = type.toObject(type.decode(bytes), { longs: String, bytes: String, json: true });
  return recodeIds(plain, 'base64', 'hex') as Record<string, unknown>;
}

/** Takes the shape of OTLP/JSON, with a `future` where wanted. */
export function independentEncode(message: IndependentMessage, value: object): Uint8Array {
  const type = typeOf(message);
  const plain = recodeIds(value, 'hex', 'base64') as Record<string, unknown>;
  return Uint8Array.from(type.encode(type.fromObject(plain)).finish());
}
