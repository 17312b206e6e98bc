// Sends batches of one signal to an OTLP/HTTP receiver. What the receiver answers means the same as at the `otlp` sink
// of a pipeline; this one takes the SDK's options, makes no spans, and keeps no process alive.

import { promisify } from 'node:util';
import { gzip, type ZlibOptions } from 'node:zlib';
import { KiB } from '../base/units.ts';
import type { Log } from '../pipeline/contract/log.ts';
import type { Sink, SinkAnswer, SinkBatch } from '../pipeline/contract/sink.ts';
import type { TlsSettings } from '../pipeline/contract/tls.ts';
import type { World } from '../pipeline/contract/world.ts';
import { HttpClient } from '../pipeline/sinks/http-client.ts';
import { readReply } from '../pipeline/sinks/otlp/otlp-reply.ts';
import type { Endpoint, HeaderValues } from './exporter-options.ts';
import type { Quiet } from './quiet.ts';

export interface ExportSinkOptions {
  readonly endpoint: Endpoint;
  readonly world: World;
  readonly quiet: Quiet;
  readonly log: Log;
}

const answerBytesMax = 64 * KiB;
/** As the `otlp` sink: the usual level costs nearly three times the work for a tenth. */
const gzipLevel = 3;
/** Said by the sink, for every request anew. */
const ownHeaders = ['content-type', 'content-encoding', 'content-length', 'transfer-encoding', 'connection', 'host'];

const gzipped = promisify<Uint8Array, ZlibOptions, Uint8Array>(gzip);

export class ExportSink implements Sink {
  readonly #options: ExportSinkOptions;
  readonly #client: HttpClient;
  /** As it may be shown: user, password and query may be secrets. */
  readonly #peer: string;
  #lastWarning = '';

  private constructor(options: ExportSinkOptions, tls: TlsSettings) {
    const { url, timeoutMs } = options.endpoint;
    this.#options = options;
    this.#peer = `${url.origin}${url.pathname}`;
    this.#client = new HttpClient({ tls, timeoutMs, answerBytesMax, clock: options.world.clock, holdsProcess: false });
  }

  static async open(options: ExportSinkOptions): Promise<ExportSink> {
    return new ExportSink(options, await readTls(options));
  }

  deliver(batch: SinkBatch, { signal }: { readonly signal: AbortSignal }): Promise<SinkAnswer> {
    return this.#options.quiet(() => this.#deliver(batch, signal));
  }

  async close(): Promise<void> {
    await this.#client.close();
  }

  async #deliver(batch: SinkBatch, signal: AbortSignal): Promise<SinkAnswer> {
    const { endpoint, world } = this.#options;
    let headers: HeaderValues;
    try {
      headers = requestHeaders(endpoint, await endpoint.headers());
    } catch (cause) {
      // A token that cannot be had now may be had later. What the function said may hold the secret itself.
      return { kind: 'retryable', reason: `the function for headers failed: ${nameOf(cause)}` };
    }
    const { url, compression } = endpoint;
    const bytes = batch.merged();
    const body = compression === 'gzip' ? await gzipped(bytes, { level: gzipLevel }) : bytes;
    const reply = await this.#client.post({ url, peer: this.#peer, headers, body, signal });
    if (reply.kind !== 'reply') return reply;
    const { events } = batch;
    const options = { signal: batch.signal, events, peer: this.#peer, nowMs: world.clock.now() };
    const { answer, warning } = readReply(reply, options);
    if (warning !== undefined) this.#warn(withoutSecrets(warning, headers));
    if (answer.kind !== 'delivered') return { ...answer, reason: withoutSecrets(answer.reason, headers) };
    const { refused } = answer;
    if (refused === undefined) return answer;
    return { kind: 'delivered', refused: { ...refused, reason: withoutSecrets(refused.reason, headers) } };
  }

  /** Receivers repeat a warning with every request; it is needed once. */
  #warn(warning: string): void {
    if (warning === this.#lastWarning) return;
    this.#lastWarning = warning;
    this.#options.log.warn('the receiver took everything and sent a warning', { warning });
  }
}

function requestHeaders({ url, compression }: Endpoint, given: HeaderValues): HeaderValues {
  const { username, password } = url;
  const headers: Record<string, string> = { 'user-agent': 'spillway' };
  if (username !== '' || password !== '') {
    const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
    headers['authorization'] = `Basic ${Buffer.from(pair).toString('base64')}`;
  }
  for (const [name, value] of Object.entries(given)) if (!ownHeaders.includes(name)) headers[name] = value;
  headers['content-type'] = 'application/x-protobuf';
  if (compression === 'gzip') headers['content-encoding'] = 'gzip';
  return headers;
}

/** A receiver may repeat in its words what it was sent. Short values would take words apart. */
function withoutSecrets(text: string, headers: HeaderValues): string {
  const own = ['user-agent', 'content-type', 'content-encoding'];
  const values = Object.entries(headers).flatMap(([name, value]) => (own.includes(name) ? [] : [value]));
  const secrets = values.flatMap((value) => [value, value.replace(/^\S+\s+/, '')]);
  return secrets.reduce((shown, secret) => (secret.length < 6 ? shown : shown.replaceAll(secret, '***')), text);
}

/** A file that is missing is said and passed over, as the official exporters do: the handshake then tells. */
async function readTls({ endpoint, world, log }: ExportSinkOptions): Promise<TlsSettings> {
  const settings: { ca?: string; cert?: string; key?: string } = {};
  for (const part of ['ca', 'cert', 'key'] as const) {
    const path = endpoint.tlsFiles[part];
    if (path === undefined) continue;
    const text = await world.files.readText(path).catch(() => undefined);
    if (text === undefined) log.warn('a file for TLS cannot be read, and is passed over', { path });
    else settings[part] = text;
  }
  return settings;
}

function nameOf(cause: unknown): string {
  return cause instanceof Error ? cause.name : typeof cause;
}
