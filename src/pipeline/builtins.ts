// Everything that is there without a plugin.

import { diskBuffer } from './buffers/disk-buffer-plugin.ts';
import { memoryBuffer } from './buffers/memory-buffer-plugin.ts';
import type { BufferDefinition, SinkDefinition, SourceDefinition } from './contract/definition.ts';
import { blackholeSink } from './sinks/blackhole/blackhole-sink.ts';
import { consoleSink } from './sinks/console/console-sink.ts';
import { fileSink } from './sinks/file/file-sink.ts';
import { otlpSink } from './sinks/otlp/otlp-sink.ts';
import { fileSource } from './sources/file/file-source.ts';
import { generateSource } from './sources/generate/generate-source.ts';
import { otlpSource } from './sources/otlp/otlp-source.ts';
import { stdinSource } from './sources/stdin/stdin-source.ts';

export const builtinSources: readonly SourceDefinition[] = [fileSource, generateSource, otlpSource, stdinSource];
export const builtinBuffers: readonly BufferDefinition[] = [diskBuffer, memoryBuffer];
export const builtinSinks: readonly SinkDefinition[] = [blackholeSink, consoleSink, fileSink, otlpSink];
