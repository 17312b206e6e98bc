// What `import ... from 'spillway/plugin'` gives: the contracts of sources, buffers and sinks. docs/plugins.md shows
// how to write one.

export { z } from 'zod';
export { ConfigError } from '../../base/errors.ts';
export { requestToJson } from '../../otlp/json.ts';
export type { Signal, TelemetryBatch } from '../../otlp/signal.ts';
export { eachRequest } from '../../otlp/split.ts';
export type { Clock, Timer } from '../../platform/clock.ts';
export type { HostFiles } from '../../platform/host-files.ts';
export type { Random } from '../../platform/random.ts';
export type { BufferContext, CursorRequest, PipelineBuffer, PipelineBufferStats } from './buffer.ts';
export {
  type BufferDefinition,
  defineBuffer,
  defineSink,
  defineSource,
  type PluginDefinition,
  pluginApi,
  type SinkDefinition,
  type SourceDefinition,
} from './definition.ts';
export type { Log, LogFields } from './log.ts';
export type { HealthAnswer, Sink, SinkAnswer, SinkBatch, SinkContext, SinkOrigin, SinkRecord } from './sink.ts';
export type { EmitOptions, EmitResult, Source, SourceContext } from './source.ts';
export { type Address, address, byteSize, hostPath, seconds, secret } from './values.ts';
export type { World } from './world.ts';
