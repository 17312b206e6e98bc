// Everything that is there without a plugin.

import type { BufferDefinition, SinkDefinition, SourceDefinition } from './contract/definition.ts';
import { blackholeSink } from './sinks/blackhole/blackhole-sink.ts';
import { generateSource } from './sources/generate/generate-source.ts';

export const builtinSources: readonly SourceDefinition[] = [generateSource];
export const builtinBuffers: readonly BufferDefinition[] = [];
export const builtinSinks: readonly SinkDefinition[] = [blackholeSink];
