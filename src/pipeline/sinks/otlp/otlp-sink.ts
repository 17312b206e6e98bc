// The `otlp` sink: batches as OTLP/HTTP protobuf requests to a receiver, such as an OpenTelemetry collector.
//
// A batch becomes one request by concatenation and is never decoded. The receiver's reply becomes an answer
// (otlp-reply.ts), an error of the network too (http-failure.ts); waiting, repeating and halving are the driver's.

import { promisify } from 'node:util';
import { gzip, type ZlibOptions, type ZstdOptions, zstdCompress } from 'node:zlib';
import { KiB } from '../../../base/units.ts';
import { type Signal, signals, type TelemetryBatch } from '../../../otlp/signal.ts';
import { defineSink, type SinkDefinition } from '../../contract/definition.ts';
import type { HealthAnswer, Sink, SinkAnswer, SinkBatch, SinkContext } from '../../contract/sink.ts';
import { readTls, type TlsSettings } from '../../contract/tls.ts';
import { HttpClient } from '../http-client.ts';
import { readReply } from './otlp-reply.ts';
import {
  type Compression,
  endpointOf,
  type OtlpSinkOptions,
  otlpSinkSchema,
  requestHeaders,
  shown,
} from './otlp-sink-options.ts';

export const otlpSink: SinkDefinition = defineSink({
  type: 'otlp',
  schema: otlpSinkSchema,
  signals: (options) => signals.filter((signal) => endpointOf(options, signal) !== undefined),
  create: async (options, context) => new OtlpSink(options, context, await readTls(options.tls, context.world.files)),
});

const answerBytesMax = 64 * KiB;

/** Of telemetry, gzip's usual level 6 saves a tenth more than this one and costs nearly three times the work. */
const gzipLevel = 3;

/** Every piece of output is one way to a thread and back, and Node's usual 16 KiB make dozens of a large body. */
const pieceBytes = { min: 16 * KiB, max: 256 * KiB } as const;

const gzipped = promisify<Uint8Array, ZlibOptions, Uint8Array>(gzip);
const zstdCompressed = promisify<Uint8Array, ZstdOptions, Uint8Array>(zstdCompress);

const compress: Readonly<Record<Exclude<Compression, 'none'>, (bytes: Uint8Array) => Promise<Uint8Array>>> = {
  gzip: (bytes) => gzipped(bytes, { level: gzipLevel, chunkSize: chunkSizeFor(bytes) }),
  zstd: (bytes) => zstdCompressed(bytes, { chunkSize: chunkSizeFor(bytes) }),
};

function chunkSizeFor({ length }: Uint8Array): number {
  return Math.max(pieceBytes.min, Math.min(pieceBytes.max, length >>> 1));
}

interface Target {
  readonly url: URL;
  readonly peer: string;
  readonly headers: Readonly<Record<string, string>>;
}

class OtlpSink implements Sink {
  readonly signals: readonly Signal[];
  readonly #context: SinkContext;
  readonly #client: HttpClient;
  readonly #targets: ReadonlyMap<Signal, Target>;
  readonly #secrets: readonly string[];
  readonly #requestBytesMax: number;
  #compression: Compression;
  /** The signal that was blocked last: another one's health says nothing about it. */
  #blocked: Signal | undefined;
  #lastWarning = '';

  constructor(options: OtlpSinkOptions, context: SinkContext, tls: TlsSettings) {
    const { timeoutMs, world } = context;
    this.#context = context;
    this.#targets = targetsOf(options, context);
    this.signals = [...this.#targets.keys()];
    this.#secrets = secretsOf(this.#targets);
    this.#requestBytesMax = options.max_request_bytes;
    this.#compression = options.compression;
    this.#client = new HttpClient({ tls, timeoutMs, answerBytesMax, clock: world.clock });
  }

  async deliver(batch: SinkBatch, { signal }: { readonly signal: AbortSignal }): Promise<SinkAnswer> {
    const { byteLength, events } = batch;
    if (byteLength > this.#requestBytesMax && events > 1) {
      const reason = `the request has ${byteLength} bytes, max_request_bytes is ${this.#requestBytesMax}`;
      return { kind: 'too_large', reason };
    }
    const answer = await this.#post({ signal: batch.signal, events, bytes: batch.merged() }, signal);
    if (answer.kind === 'blocked') this.#blocked = batch.signal;
    else if (this.#blocked === batch.signal) this.#blocked = undefined;
    return answer;
  }

  /** Sends a request without events: valid OTLP, so the reply is what a batch would get. */
  async checkHealth({ signal }: { readonly signal: AbortSignal }): Promise<HealthAnswer> {
    let worst: HealthAnswer = { kind: 'healthy' };
    for (const one of this.#blocked === undefined ? this.signals : [this.#blocked]) {
      const answer = await this.#post({ signal: one, events: 0, bytes: new Uint8Array(0) }, signal);
      // A receiver that dislikes an empty request is there, and listens.
      if (answer.kind !== 'retryable' && answer.kind !== 'blocked') return { kind: 'healthy' };
      worst = { kind: answer.kind, reason: answer.reason };
      if (answer.kind === 'retryable') break;
    }
    return worst;
  }

  async close(): Promise<void> {
    await this.#client.close();
  }

  async #post(request: TelemetryBatch, abort: AbortSignal): Promise<SinkAnswer> {
    const { signal, events, bytes } = request;
    const target = this.#targets.get(signal);
    if (target === undefined) return { kind: 'rejected', reason: `no endpoint is configured for ${signal}` };
    const compression = this.#compression;
    const reply = await this.#client.post({ ...target, ...(await encode(bytes, compression, target)), signal: abort });
    if (reply.kind !== 'reply') return reply;
    if (reply.status === 415 && compression === 'zstd') {
      this.#fallBack(target);
      return this.#post(request, abort);
    }
    const options = { signal, events, peer: target.peer, nowMs: this.#context.world.clock.now() };
    const { answer, warning } = readReply(reply, options);
    if (warning !== undefined) this.#warn(signal, this.#withoutSecrets(warning));
    return this.#answerWithoutSecrets(answer);
  }

  #fallBack({ peer }: Target): void {
    if (this.#compression !== 'zstd') return;
    this.#compression = 'gzip';
    this.#context.log.warn('the receiver does not take zstd: gzip from here on', { peer });
  }

  /** Receivers repeat a warning with every request; the operator needs it once. */
  #warn(signal: Signal, warning: string): void {
    if (warning === this.#lastWarning) return;
    this.#lastWarning = warning;
    this.#context.log.warn('the receiver took everything and sent a warning', { signal, warning });
  }

  #answerWithoutSecrets(answer: SinkAnswer): SinkAnswer {
    if (answer.kind !== 'delivered') return { ...answer, reason: this.#withoutSecrets(answer.reason) };
    const { refused } = answer;
    if (refused === undefined) return answer;
    return { kind: 'delivered', refused: { ...refused, reason: this.#withoutSecrets(refused.reason) } };
  }

  /** A receiver may repeat in its words what it was sent. */
  #withoutSecrets(text: string): string {
    return this.#secrets.reduce((result, secret) => result.replaceAll(secret, '***'), text);
  }
}

function targetsOf(options: OtlpSinkOptions, context: SinkContext): ReadonlyMap<Signal, Target> {
  const targets = new Map<Signal, Target>();
  for (const signal of signals) {
    const url = endpointOf(options, signal);
    if (url === undefined) continue;
    targets.set(signal, { url, peer: shown(url), headers: requestHeaders(options, context.headers, url) });
  }
  return targets;
}

/** Values of headers that are not ours, and what follows their scheme. Short ones would take words apart. */
function secretsOf(targets: ReadonlyMap<Signal, Target>): string[] {
  const values = [...targets.values()].flatMap(({ headers }) =>
    Object.entries(headers).filter(([name]) => name !== 'content-type' && name !== 'user-agent'),
  );
  const secrets = values.flatMap(([, value]) => [value, value.replace(/^\S+\s+/, '')]);
  return [...new Set(secrets)].filter(({ length }) => length >= 6).sort((a, b) => b.length - a.length);
}

async function encode(
  request: Uint8Array,
  compression: Compression,
  { headers }: Target,
): Promise<{ readonly body: Uint8Array; readonly headers: Readonly<Record<string, string>> }> {
  if (compression === 'none' || request.length === 0) return { body: request, headers };
  const body = await compress[compression](request);
  return { body, headers: { ...headers, 'content-encoding': compression } };
}
