// What the user says to an exporter, and what follows from it together with the environment.

import { resolve } from 'node:path';
import { UsageError } from '../base/errors.ts';
import { MiB } from '../base/units.ts';
import type { Durability } from '../engine/limits.ts';
import type { Signal } from '../otlp/signal.ts';
import { type Environment, isHttpUrl, readVariables, type Warn } from './environment.ts';
import type { SharedBuffer } from './shared-buffer.ts';

export type HeaderValues = Readonly<Record<string, string>>;

/** Where telemetry goes. Each of them has an OTEL_EXPORTER_OTLP_* variable; what is said here goes before that. */
export interface EndpointOptions {
  /** The whole URL, with `/v1/traces` or the like. Default: http://localhost:4318/v1/<signal>. */
  readonly url?: string;
  /** For every request. A function is asked before each, so that a token may change. */
  readonly headers?: HeaderValues | (() => HeaderValues | Promise<HeaderValues>);
  /** Default `gzip`. */
  readonly compression?: 'gzip' | 'none';
  /** How long one request may take, and how long `forceFlush` goes on delivering. Default 10,000. */
  readonly timeoutMillis?: number;
  /** Longest pause between two tries of a batch; a receiver that asks for more gets more. Default 30,000. */
  readonly retryMaxBackoffMillis?: number;
}

/** The buffer of an exporter, or of several. */
export interface TelemetryBufferOptions {
  /** A directory for this application; each of its processes has one of its own below. Always given. */
  readonly path: string;
  /** Most bytes on disk, for each process; when they are reached, `whenFull` holds. Default 256 MiB. */
  readonly maxBytes?: number;
  /** When an export has succeeded: see docs/guarantees.md. Default `sync`: it survives a power cut. */
  readonly durability?: Durability;
  /**
   * `drop_oldest` makes room, `drop_newest` and `reject` fail the export. What is dropped is counted. There is no
   * `block`: telemetry must not stop the application. Default `drop_oldest`.
   */
  readonly whenFull?: 'drop_oldest' | 'drop_newest' | 'reject';
}

export interface BufferedExporterOptions extends EndpointOptions {
  readonly buffer: TelemetryBufferOptions | SharedBuffer;
  /** Exports that may wait for the disk at once; further ones fail. Default 30. */
  readonly concurrencyLimit?: number;
}

/** One signal's way out, with every default settled. */
export interface Endpoint {
  readonly signal: Signal;
  readonly url: URL;
  readonly headers: () => Promise<HeaderValues>;
  readonly compression: 'gzip' | 'none';
  readonly timeoutMs: number;
  readonly retryMaxBackoffMs: number;
  readonly tlsFiles: Readonly<Record<'ca' | 'cert' | 'key', string | undefined>>;
}

export interface BufferSettings {
  readonly path: string;
  readonly maxBytes: number;
  readonly durability: Durability;
  readonly whenFull: 'drop_oldest' | 'drop_newest' | 'reject';
}

export function endpointFor(
  signal: Signal,
  options: EndpointOptions,
  given: { readonly environment: Environment; readonly warn: Warn },
): Endpoint {
  const variables = readVariables(signal, given.environment, given.warn);
  const url = options.url ?? variables.url ?? `http://localhost:4318/v1/${signal}`;
  if (!isHttpUrl(url)) throw optionError('url', url, 'a URL with http:// or https://');
  const { caFile: ca, certFile: cert, keyFile: key } = variables;
  return {
    signal,
    url: new URL(url),
    headers: async () => ({ ...variables.headers, ...lowered(await headersOf(options.headers)) }),
    compression: oneOf('compression', options.compression ?? variables.compression ?? 'gzip', ['gzip', 'none']),
    timeoutMs: duration('timeoutMillis', options.timeoutMillis ?? variables.timeoutMillis ?? 10_000),
    retryMaxBackoffMs: duration('retryMaxBackoffMillis', options.retryMaxBackoffMillis ?? 30_000),
    tlsFiles: { ca, cert, key },
  };
}

/** What the engine checks by itself, the engine says. */
export function bufferSettings(options: TelemetryBufferOptions): BufferSettings {
  const { path, maxBytes = 256 * MiB, durability = 'sync', whenFull = 'drop_oldest' } = options;
  if (typeof path !== 'string' || path === '') throw optionError('buffer.path', path, 'the path of a directory');
  const policies = ['drop_oldest', 'drop_newest', 'reject'] as const;
  oneOf('buffer.whenFull', whenFull, policies);
  return { path: resolve(path), maxBytes, durability, whenFull };
}

export function concurrencyLimitOf({ concurrencyLimit = 30 }: { readonly concurrencyLimit?: number }): number {
  if (Number.isInteger(concurrencyLimit) && concurrencyLimit > 0) return concurrencyLimit;
  throw optionError('concurrencyLimit', concurrencyLimit, 'a whole number from 1');
}

async function headersOf(headers: EndpointOptions['headers']): Promise<HeaderValues> {
  return typeof headers === 'function' ? await headers() : (headers ?? {});
}

/** By name in lower case, so that the later of two holds. A value that is undefined is left out. */
function lowered(headers: HeaderValues): Record<string, string> {
  const defined = Object.entries(headers).filter(([, value]) => value !== undefined);
  return Object.fromEntries(defined.map(([name, value]) => [name.toLowerCase(), String(value)]));
}

function duration(name: string, value: number): number {
  if (Number.isFinite(value) && value > 0) return value;
  throw optionError(name, value, 'a number of milliseconds above 0');
}

function oneOf<Value extends string>(name: string, value: string, choices: readonly Value[]): Value {
  const choice = choices.find((candidate) => candidate === value);
  if (choice !== undefined) return choice;
  throw optionError(name, value, `one of ${choices.join(', ')}`);
}

function optionError(name: string, value: unknown, expected: string): UsageError {
  return new UsageError({
    code: 'SPILLWAY_USAGE_OPTION',
    message: `Cannot make an exporter with ${name} = ${JSON.stringify(value)}: expected ${expected}`,
  });
}
