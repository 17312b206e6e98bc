// What `import ... from 'spillway/plugin'` gives: the contracts of sources, buffers and sinks. docs/plugins.md shows
// how to write one.

export { z } from 'zod';
export { ConfigError } from '../../base/errors.ts';
export { eachEvent, type MetricOfPoint, type TelemetryEvent } from '../../otlp/decode.ts';
export { requestToJson } from '../../otlp/json.ts';
export type { AnyValue, DataPoint, KeyValue, LogRecord, Resource, Scope, Span } from '../../otlp/request.ts';
export type { Signal, TelemetryBatch } from '../../otlp/signal.ts';
export type { Clock, Timer } from '../../platform/clock.ts';
export type { HostFiles } from '../../platform/host-files.ts';
export type { Random } from '../../platform/random.ts';
export type { BufferContext, CursorRequest, PipelineBuffer, PipelineBufferStats } from './buffer.ts';
export { Deadline, type DeadlineOptions, Overdue } from './deadline.ts';
export {
  type BufferDefinition,
  type BufferFacts,
  defineBuffer,
  defineSink,
  defineSource,
  type Neighbour,
  type OptionsProblem,
  type PluginDefinition,
  pluginApi,
  type SinkDefinition,
  type SinkSurroundings,
  type SourceDefinition,
  type SourceSurroundings,
} from './definition.ts';
export {
  checkOrigins,
  comparePlaces,
  type EventPlace,
  originOf,
  parseKey,
  placeOf,
  type RecordOrigin,
} from './event-place.ts';
export { type KeyOwner, ownerOf } from './key-owner.ts';
export { type EventEncoding, type KeyedEvent, keyedEvents } from './keyed-events.ts';
export type { Log, LogFields } from './log.ts';
export { type NetworkFailure, networkFailure } from './network-failure.ts';
export type { HealthAnswer, Sink, SinkAnswer, SinkBatch, SinkContext, SinkOrigin, SinkRecord } from './sink.ts';
export type { EmitOptions, EmitResult, Source, SourceContext } from './source.ts';
export { attributeText, type Template, type TemplateValues, template } from './template.ts';
export {
  readTls,
  type SwitchableTlsOptions,
  switchableTlsOptions,
  type TlsOptions,
  type TlsSettings,
  tlsOptions,
} from './tls.ts';
export { type Address, address, byteSize, hostPath, seconds, secret } from './values.ts';
export type { World } from './world.ts';
