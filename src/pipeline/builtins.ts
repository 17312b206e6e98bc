// Everything that is there without a plugin.

import type { BufferDefinition, SinkDefinition, SourceDefinition } from './contract/definition.ts';
import { blackholeSink } from './sinks/blackhole/blackhole-sink.ts';

export const builtinSources: readonly SourceDefinition[] = [];
export const builtinBuffers: readonly BufferDefinition[] = [];
export const builtinSinks: readonly SinkDefinition[] = [blackholeSink];
