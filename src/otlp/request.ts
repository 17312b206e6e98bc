// The shapes of OTLP/JSON as types: what encodeRequest takes and decodeRequest gives.
//
// Ids are hex, bytes are base64, 64-bit integers are decimal strings when decoded (JSON has no room for them) and may
// be given as number or bigint as well. What holds its default is left out when decoded.

/** A 64-bit integer. Decoded: a decimal string. */
export type Int64 = string | number | bigint;
/** Decoded: a number, or one of the three words for which JSON has no number. */
export type Double = number | 'NaN' | 'Infinity' | '-Infinity';

/** One of these is there, or none: an empty value. */
export interface AnyValue {
  readonly stringValue?: string;
  readonly boolValue?: boolean;
  readonly intValue?: Int64;
  readonly doubleValue?: Double;
  readonly arrayValue?: { readonly values?: readonly AnyValue[] };
  readonly kvlistValue?: { readonly values?: readonly KeyValue[] };
  readonly bytesValue?: string;
  readonly stringValueStrindex?: number;
}

export interface KeyValue {
  readonly key?: string;
  readonly value?: AnyValue;
  readonly keyStrindex?: number;
}

export interface EntityRef {
  readonly schemaUrl?: string;
  readonly type?: string;
  readonly idKeys?: readonly string[];
  readonly descriptionKeys?: readonly string[];
}

export interface Resource {
  readonly attributes?: readonly KeyValue[];
  readonly droppedAttributesCount?: number;
  readonly entityRefs?: readonly EntityRef[];
}

export interface Scope {
  readonly name?: string;
  readonly version?: string;
  readonly attributes?: readonly KeyValue[];
  readonly droppedAttributesCount?: number;
}

export interface LogRecord {
  readonly timeUnixNano?: Int64;
  readonly observedTimeUnixNano?: Int64;
  readonly severityNumber?: number;
  readonly severityText?: string;
  readonly body?: AnyValue;
  readonly attributes?: readonly KeyValue[];
  readonly droppedAttributesCount?: number;
  readonly flags?: number;
  readonly traceId?: string;
  readonly spanId?: string;
  readonly eventName?: string;
}

export interface SpanEvent {
  readonly timeUnixNano?: Int64;
  readonly name?: string;
  readonly attributes?: readonly KeyValue[];
  readonly droppedAttributesCount?: number;
}

export interface SpanLink {
  readonly traceId?: string;
  readonly spanId?: string;
  readonly traceState?: string;
  readonly attributes?: readonly KeyValue[];
  readonly droppedAttributesCount?: number;
  readonly flags?: number;
}

export interface Span {
  readonly traceId?: string;
  readonly spanId?: string;
  readonly traceState?: string;
  readonly parentSpanId?: string;
  readonly flags?: number;
  readonly name?: string;
  readonly kind?: number;
  readonly startTimeUnixNano?: Int64;
  readonly endTimeUnixNano?: Int64;
  readonly attributes?: readonly KeyValue[];
  readonly droppedAttributesCount?: number;
  readonly events?: readonly SpanEvent[];
  readonly droppedEventsCount?: number;
  readonly links?: readonly SpanLink[];
  readonly droppedLinksCount?: number;
  readonly status?: { readonly message?: string; readonly code?: number };
}

export interface Exemplar {
  readonly filteredAttributes?: readonly KeyValue[];
  readonly timeUnixNano?: Int64;
  readonly asDouble?: Double;
  readonly asInt?: Int64;
  readonly spanId?: string;
  readonly traceId?: string;
}

interface AnyPoint {
  readonly attributes?: readonly KeyValue[];
  readonly startTimeUnixNano?: Int64;
  readonly timeUnixNano?: Int64;
  readonly flags?: number;
}

export interface NumberDataPoint extends AnyPoint {
  readonly asDouble?: Double;
  readonly asInt?: Int64;
  readonly exemplars?: readonly Exemplar[];
}

export interface HistogramDataPoint extends AnyPoint {
  readonly count?: Int64;
  readonly sum?: Double;
  readonly bucketCounts?: readonly Int64[];
  readonly explicitBounds?: readonly Double[];
  readonly exemplars?: readonly Exemplar[];
  readonly min?: Double;
  readonly max?: Double;
}

export interface Buckets {
  readonly offset?: number;
  readonly bucketCounts?: readonly Int64[];
}

export interface ExponentialHistogramDataPoint extends AnyPoint {
  readonly count?: Int64;
  readonly sum?: Double;
  readonly scale?: number;
  readonly zeroCount?: Int64;
  readonly positive?: Buckets;
  readonly negative?: Buckets;
  readonly exemplars?: readonly Exemplar[];
  readonly min?: Double;
  readonly max?: Double;
  readonly zeroThreshold?: Double;
}

export interface SummaryDataPoint extends AnyPoint {
  readonly count?: Int64;
  readonly sum?: Double;
  readonly quantileValues?: readonly { readonly quantile?: Double; readonly value?: Double }[];
}

export type DataPoint = NumberDataPoint | HistogramDataPoint | ExponentialHistogramDataPoint | SummaryDataPoint;

interface Data<Point> {
  readonly dataPoints?: readonly Point[];
}

/** One of the five kinds of data is there, or none. */
export interface Metric {
  readonly name?: string;
  readonly description?: string;
  readonly unit?: string;
  readonly gauge?: Data<NumberDataPoint>;
  readonly sum?: Data<NumberDataPoint> & { readonly aggregationTemporality?: number; readonly isMonotonic?: boolean };
  readonly histogram?: Data<HistogramDataPoint> & { readonly aggregationTemporality?: number };
  readonly exponentialHistogram?: Data<ExponentialHistogramDataPoint> & { readonly aggregationTemporality?: number };
  readonly summary?: Data<SummaryDataPoint>;
  readonly metadata?: readonly KeyValue[];
}

interface ForResource {
  readonly resource?: Resource;
  readonly schemaUrl?: string;
}

interface ForScope {
  readonly scope?: Scope;
  readonly schemaUrl?: string;
}

export interface LogsRequest {
  readonly resourceLogs?: readonly (ForResource & {
    readonly scopeLogs?: readonly (ForScope & { readonly logRecords?: readonly LogRecord[] })[];
  })[];
}

export interface TracesRequest {
  readonly resourceSpans?: readonly (ForResource & {
    readonly scopeSpans?: readonly (ForScope & { readonly spans?: readonly Span[] })[];
  })[];
}

export interface MetricsRequest {
  readonly resourceMetrics?: readonly (ForResource & {
    readonly scopeMetrics?: readonly (ForScope & { readonly metrics?: readonly Metric[] })[];
  })[];
}

export interface RequestOf {
  readonly logs: LogsRequest;
  readonly traces: TracesRequest;
  readonly metrics: MetricsRequest;
}
