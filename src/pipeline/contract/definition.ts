// How a plugin introduces itself: a type, a schema for its options, a function that makes it.
//
//   export default defineSink({ type: 'redis', schema, create: (options, context) => new Redis(options, context) });
//
// A definition is recognised by its fields, not by a class: it may come from another copy of this package.

import type { output, ZodType } from 'zod';
import type { Signal } from '../../otlp/signal.ts';
import type { BufferContext, PipelineBuffer } from './buffer.ts';
import type { Sink, SinkContext } from './sink.ts';
import type { Source, SourceContext } from './source.ts';
import type { Address } from './values.ts';

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

/** Something wrong with options that are right by themselves, but not in their surroundings. */
export interface OptionsProblem {
  /** Where, from the options down: `['ids']`. What it leads to need not be in the config. */
  readonly path: readonly (string | number)[];
  /** What is wrong and what to write instead, without a full stop. Values of secrets are cut out of it. */
  readonly message: string;
}

/** Another source, or sink, of the same type. */
export interface Neighbour<Options> {
  readonly id: string;
  readonly options: Options;
}

export interface SourceSurroundings<Options> {
  /** Those of the same type that stand before this one in the config and are started. */
  readonly earlier: readonly Neighbour<Options>[];
  /** Where the pipeline answers health, if it does. */
  readonly healthAddress: Address | undefined;
}

export interface BufferFacts {
  readonly id: string;
  /** Whether keys and records outlive the process: then {@link SinkContext.origin} has a `uuid`. */
  readonly isDurable: boolean;
}

export interface SinkSurroundings<Options> {
  readonly buffer: BufferFacts;
  /** What can come in and is taken. */
  readonly signals: readonly Signal[];
  /** Those of the same type that stand before this one in the config. */
  readonly earlier: readonly (Neighbour<Options> & Pick<SinkSurroundings<Options>, 'buffer' | 'signals'>)[];
}

// What a definition may tell of a component before it is made, so that `validate` finds what would fail only in `run`.
// Both are pure: they know the options and nothing of the world.

interface SourceFacts<Options> {
  /** The signals that it can make with these options. Default: all. */
  readonly signals?: (options: Options) => readonly Signal[];
  readonly check?: (options: Options, surroundings: SourceSurroundings<Options>) => readonly OptionsProblem[];
}

interface SinkFacts<Options> {
  /** The signals that it takes with these options; others are not offered and count as rejected. Default: all. */
  readonly signals?: (options: Options) => readonly Signal[];
  readonly check?: (options: Options, surroundings: SinkSurroundings<Options>) => readonly OptionsProblem[];
}

// A definition in the runtime's hands: its options are what its own schema gave, and nobody else can make some.

export interface SourceDefinition extends DefinitionOf<'source'>, SourceFacts<never> {
  /** Throws, or rejects, when the source cannot be made now; it is tried again after a backoff. */
  readonly create: (options: never, context: SourceContext) => Source | Promise<Source>;
}

export interface SinkDefinition extends DefinitionOf<'sink'>, SinkFacts<never> {
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
  given: Given<Schema> &
    SourceFacts<output<Schema>> & {
      readonly create: (options: output<Schema>, context: SourceContext) => Source | Promise<Source>;
    },
): SourceDefinition {
  return { kind: 'source', api: pluginApi, ...given };
}

export function defineSink<Schema extends ZodType>(
  given: Given<Schema> &
    SinkFacts<output<Schema>> & {
      readonly create: (options: output<Schema>, context: SinkContext) => Sink | Promise<Sink>;
    },
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
