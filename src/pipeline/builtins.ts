// Everything that is there without a plugin.

import type { BufferDefinition, SinkDefinition, SourceDefinition } from './contract/definition.ts';
import { blackholeSink } from './sinks/blackhole/blackhole-sink.ts';
import { consoleSink } from './sinks/console/console-sink.ts';
import { otlpSink } from './sinks/otlp/otlp-sink.ts';
import { generateSource } from './sources/generate/generate-source.ts';
import { otlpSource } from './sources/otlp/otlp-source.ts';

export const builtinSources: readonly SourceDefinition[] = [generateSource, otlpSource];
export const builtinBuffers: readonly BufferDefinition[] = [];
export const builtinSinks: readonly SinkDefinition[] = [blackholeSink, consoleSink, otlpSink];
