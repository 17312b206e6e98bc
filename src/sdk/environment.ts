// The OTEL_EXPORTER_OTLP_* variables, read as the official exporters read them: what is of no use is said once and
// passed over, the variable of a signal goes before the common one, and what the code says goes before both.
//
// Source: the OpenTelemetry specification, "OpenTelemetry Protocol Exporter", and what the exporters for JS do.

import type { Signal } from '../otlp/signal.ts';

export type Environment = Readonly<Record<string, string | undefined>>;
export type Warn = (message: string) => void;

/** What the variables say for one signal. */
export interface ExporterVariables {
  readonly url: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly timeoutMillis: number | undefined;
  readonly compression: 'gzip' | 'none' | undefined;
  readonly caFile: string | undefined;
  readonly certFile: string | undefined;
  readonly keyFile: string | undefined;
}

export function readVariables(signal: Signal, environment: Environment, warn: Warn): ExporterVariables {
  const read = new Variables(signal, environment, warn);
  return {
    url: read.url(),
    headers: { ...read.headersOf(read.common('HEADERS')), ...read.headersOf(read.own('HEADERS')) },
    timeoutMillis: read.timeoutOf(read.own('TIMEOUT')) ?? read.timeoutOf(read.common('TIMEOUT')),
    compression: read.compressionOf(read.own('COMPRESSION')) ?? read.compressionOf(read.common('COMPRESSION')),
    caFile: read.either('CERTIFICATE'),
    certFile: read.either('CLIENT_CERTIFICATE'),
    keyFile: read.either('CLIENT_KEY'),
  };
}

/** A variable that is set to something; one that is empty is as good as none. */
export function textOf(environment: Environment, name: string): string | undefined {
  const value = environment[name];
  return value === undefined || value.trim() === '' ? undefined : value;
}

interface Variable {
  readonly name: string;
  readonly value: string | undefined;
}

const nameOfSignal: Readonly<Record<Signal, string>> = { logs: 'LOGS', traces: 'TRACES', metrics: 'METRICS' };

class Variables {
  readonly #signal: Signal;
  readonly #environment: Environment;
  readonly #warn: Warn;

  constructor(signal: Signal, environment: Environment, warn: Warn) {
    this.#signal = signal;
    this.#environment = environment;
    this.#warn = warn;
  }

  common(key: string): Variable {
    const name = `OTEL_EXPORTER_OTLP_${key}`;
    return { name, value: textOf(this.#environment, name) };
  }

  own(key: string): Variable {
    return this.common(`${nameOfSignal[this.#signal]}_${key}`);
  }

  either(key: string): string | undefined {
    return this.own(key).value ?? this.common(key).value;
  }

  /** The own endpoint is used as it is, the common one is a base. */
  url(): string | undefined {
    const own = this.#urlOf(this.own('ENDPOINT'));
    if (own !== undefined) return own;
    const base = this.#urlOf(this.common('ENDPOINT'));
    return base === undefined ? undefined : `${base.replace(/\/$/, '')}/v1/${this.#signal}`;
  }

  #urlOf({ name, value }: Variable): string | undefined {
    if (value === undefined || isHttpUrl(value.trim())) return value?.trim();
    this.#warn(`${name} is no URL with http:// or https://, and is passed over`);
    return undefined;
  }

  /** `name=value` pairs, percent-encoded, separated by commas; what follows a `;` belongs to baggage, not to us. */
  headersOf({ name, value }: Variable): Record<string, string> {
    const headers: Record<string, string> = {};
    for (const pair of value?.split(',') ?? []) {
      const [text = ''] = pair.split(';');
      const equals = text.indexOf('=');
      if (text.slice(0, Math.max(0, equals)).trim() === '') continue;
      try {
        const key = decodeURIComponent(text.slice(0, equals).trim());
        const decoded = decodeURIComponent(text.slice(equals + 1).trim());
        if (decoded !== '') headers[key.toLowerCase()] = decoded;
      } catch {
        this.#warn(`${name} has a pair that is not percent-encoded, and is passed over`);
      }
    }
    return headers;
  }

  timeoutOf({ name, value }: Variable): number | undefined {
    if (value === undefined) return undefined;
    const timeout = Number(value);
    if (Number.isFinite(timeout) && timeout > 0) return timeout;
    this.#warn(`${name} is no number of milliseconds above 0, and is passed over`);
    return undefined;
  }

  compressionOf({ name, value }: Variable): 'gzip' | 'none' | undefined {
    const compression = value?.trim();
    if (compression === undefined || compression === 'gzip' || compression === 'none') return compression;
    this.#warn(`${name} is neither gzip nor none, and is passed over`);
    return undefined;
  }
}

export function isHttpUrl(text: string): boolean {
  return /^https?:\/\/[^/]/i.test(text) && URL.canParse(text);
}
