// The options of the `otlp` sink, and what follows from them: where each signal goes, and with which headers.

import { validateHeaderName, validateHeaderValue } from 'node:http';
import { type ZodType, z } from 'zod';
import { MiB } from '../../../base/units.ts';
import { type Signal, signals } from '../../../otlp/signal.ts';
import { saysMore, type TlsOptions, tlsOptions } from '../../contract/tls.ts';
import { byteSize, secret } from '../../contract/values.ts';

export type Compression = 'gzip' | 'zstd' | 'none';

export interface OtlpSinkOptions {
  readonly endpoint?: string | undefined;
  readonly logs_endpoint?: string | undefined;
  readonly traces_endpoint?: string | undefined;
  readonly metrics_endpoint?: string | undefined;
  readonly compression: Compression;
  readonly max_request_bytes: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly token?: string | undefined;
  readonly tls: TlsOptions;
}

function url(): ZodType<string, string> {
  return z.string().superRefine((value, context) => {
    if (/^https?:\/\/[^/]/i.test(value) && isUsable(value)) return;
    const message = 'expected a URL with http:// or https://, such as http://127.0.0.1:4318';
    context.addIssue({ code: 'custom', message });
  });
}

function isUsable(value: string): boolean {
  try {
    const { username, password } = new URL(value);
    decodeURIComponent(`${username}:${password}`);
    return true;
  } catch {
    return false;
  }
}

/** Said by the sink itself, for every request anew. */
const ownHeaders = ['content-type', 'content-encoding', 'content-length', 'transfer-encoding', 'connection', 'host'];

function headers(): ZodType<Readonly<Record<string, string>>, Record<string, string>> {
  return z.record(z.string(), secret()).superRefine((given, context) => {
    for (const [name, value] of Object.entries(given)) {
      const message = headerProblem(name, value);
      if (message !== undefined) context.addIssue({ code: 'custom', path: [name], message });
    }
  });
}

function headerProblem(name: string, value: string): string | undefined {
  if (ownHeaders.includes(name.toLowerCase())) return 'the sink sets this header itself';
  try {
    validateHeaderName(name);
    validateHeaderValue(name, value);
    return undefined;
  } catch {
    return 'no header can have this name, or this value';
  }
}

export const otlpSinkSchema: ZodType<OtlpSinkOptions> = z
  .strictObject({
    endpoint: url().optional().describe('Where an OTLP/HTTP receiver is; /v1/logs and so on are appended.'),
    logs_endpoint: url().optional().describe('The whole URL for logs, instead of that made from `endpoint`.'),
    traces_endpoint: url().optional().describe('The whole URL for traces.'),
    metrics_endpoint: url().optional().describe('The whole URL for metrics.'),
    compression: z
      .enum(['gzip', 'zstd', 'none'])
      .default('gzip')
      .describe('How bodies are compressed. zstd falls back to gzip if the receiver answers 415.'),
    max_request_bytes: byteSize({ min: 1 })
      .prefault(20 * MiB)
      .describe('Largest request before compression. Larger batches are halved; a single event is always tried.'),
    headers: headers().default({}).describe('Headers for every request. Their values are never printed.'),
    token: secret().optional().describe('Sent as `Authorization: Bearer ...`.'),
    tls: tlsOptions().prefault({}).describe('For https://.'),
  })
  .superRefine(({ tls, ...options }, context) => {
    const urls = [options.endpoint, ...signals.map((signal) => options[`${signal}_endpoint`])];
    const given = urls.filter((each) => each !== undefined);
    if (given.length === 0 || !given.every((each) => /^http:/i.test(each)) || !saysMore(tls)) return;
    context.addIssue({ code: 'custom', path: ['tls'], message: 'needs an endpoint with https://' });
  })
  .superRefine((options, context) => {
    if (signals.some((signal) => (options[`${signal}_endpoint`] ?? options.endpoint) !== undefined)) return;
    const message = 'say where to send: an endpoint such as http://127.0.0.1:4318, or one for each signal';
    context.addIssue({ code: 'custom', path: ['endpoint'], message });
  });

type Endpoints = Pick<OtlpSinkOptions, 'endpoint' | 'logs_endpoint' | 'traces_endpoint' | 'metrics_endpoint'>;

/** The URL for a signal, or undefined: it is not sent. */
export function endpointOf(options: Endpoints, signal: Signal): URL | undefined {
  const own = options[`${signal}_endpoint`];
  if (own !== undefined) return new URL(own);
  if (options.endpoint === undefined) return undefined;
  const base = new URL(options.endpoint);
  base.pathname = `${base.pathname.replace(/\/$/, '')}/v1/${signal}`;
  return base;
}

/** A URL as it may be shown: user, password and query may be secrets. */
export function shown({ origin, pathname }: URL): string {
  return `${origin}${pathname}`;
}

/** Headers by name in lower case; of two with one name the later holds: `request.headers`, then `headers`. */
export function requestHeaders(
  { token, headers: own }: Pick<OtlpSinkOptions, 'token' | 'headers'>,
  common: Readonly<Record<string, string>>,
  { username, password }: URL,
): Record<string, string> {
  const merged = new Map<string, string>([['user-agent', 'spillway']]);
  if (username !== '' || password !== '') {
    const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
    merged.set('authorization', `Basic ${Buffer.from(pair).toString('base64')}`);
  }
  if (token !== undefined) merged.set('authorization', `Bearer ${token}`);
  for (const [name, value] of [...Object.entries(common), ...Object.entries(own)]) {
    if (!ownHeaders.includes(name.toLowerCase())) merged.set(name.toLowerCase(), value);
  }
  merged.set('content-type', 'application/x-protobuf');
  return Object.fromEntries(merged);
}
