// How a plugin introduces itself: a type, a schema for its options, a function that makes it.
//
//   export default defineSink({ type: 'redis', schema, create: (options, context) => new Redis(options, context) });
//
// A definition is recognised by its fields, not by a class: it may come from another copy of this package.

import type { output, ZodType } from 'zod';
import type { BufferContext, PipelineBuffer } from './buffer.ts';
import type { Sink, SinkContext } from './sink.ts';
import type { Source, SourceContext } from './source.ts';

/** The version of the contracts in this folder. A plugin states it in its package.json: `"spillway": { "api": 1 }`. */
export const pluginApi = 1;

interface DefinitionOf<Kind extends string> {
  readonly kind: Kind;
  readonly api: number;
  /** The name in the config: `type: redis`. */
  readonly type: string;
  /**
   * The plugin's own options, as a strict zod 4 object with descriptions: documentation and JSON Schema are made from
   * it. Keys that every source or sink has (`inputs`, `buffer`, `request`, ...) are not in it.
   */
  readonly schema: ZodType;
}

// A definition in the runtime's hands: its options are what its own schema gave, and nobody else can make some.

export interface SourceDefinition extends DefinitionOf<'source'> {
  /** Throws, or rejects, when the source cannot be made now; it is tried again after a backoff. */
  readonly create: (options: never, context: SourceContext) => Source | Promise<Source>;
}

export interface SinkDefinition extends DefinitionOf<'sink'> {
  /** As for sources. A ConfigError is not tried again: the pipeline ends with it. */
  readonly create: (options: never, context: SinkContext) => Sink | Promise<Sink>;
}

export interface BufferDefinition extends DefinitionOf<'buffer'> {
  /** Rejects with StorageError, FormatError or UsageError as `DiskBuffer.open` does: the pipeline does not start. */
  readonly open: (options: never, context: BufferContext) => Promise<PipelineBuffer>;
  /** Whether keys, cursors and records outlive the process. */
  readonly isDurable: boolean;
}

export type PluginDefinition = SourceDefinition | SinkDefinition | BufferDefinition;

interface Given<Schema extends ZodType> {
  readonly type: string;
  readonly schema: Schema;
}

export function defineSource<Schema extends ZodType>(
  given: Given<Schema> & {
    readonly create: (options: output<Schema>, context: SourceContext) => Source | Promise<Source>;
  },
): SourceDefinition {
  return { kind: 'source', api: pluginApi, ...given };
}

export function defineSink<Schema extends ZodType>(
  given: Given<Schema> & { readonly create: (options: output<Schema>, context: SinkContext) => Sink | Promise<Sink> },
): SinkDefinition {
  return { kind: 'sink', api: pluginApi, ...given };
}

export function defineBuffer<Schema extends ZodType>(
  given: Given<Schema> & {
    readonly open: (options: output<Schema>, context: BufferContext) => Promise<PipelineBuffer>;
    readonly isDurable: boolean;
  },
): BufferDefinition {
  return { kind: 'buffer', api: pluginApi, ...given };
}
