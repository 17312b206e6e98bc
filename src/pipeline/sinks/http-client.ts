// One request and its answer for sinks that speak HTTP: one deadline for all of it, no retries, no more of an answer in
// memory than the limit.

import type { Socket } from 'node:net';
import { Agent, buildConnector, type Dispatcher } from 'undici';
import type { Clock } from '../../platform/clock.ts';
import type { SinkAnswer } from '../contract/sink.ts';
import type { TlsSettings } from '../contract/tls.ts';
import { failureOf } from './http-failure.ts';

export interface HttpClientOptions {
  readonly tls: TlsSettings;
  /** From the call to the last byte of the answer. */
  readonly timeoutMs: number;
  readonly answerBytesMax: number;
  readonly clock: Clock;
  /** Whether a request under way keeps the process alive. Default true. */
  readonly holdsProcess?: boolean;
}

export interface HttpPost {
  readonly url: URL;
  /** The URL as it may be shown. */
  readonly peer: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  readonly signal: AbortSignal;
}

export interface HttpReply {
  readonly kind: 'reply';
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Uint8Array;
  /** False: the body was longer than the limit, and this is its beginning. */
  readonly isWhole: boolean;
}

export class HttpClient {
  readonly #agent: Agent;
  readonly #options: HttpClientOptions;

  constructor(options: HttpClientOptions) {
    this.#options = options;
    // The deadline below is the only clock: undici's own would run on real time. A connection whose making nobody waits
    // for any more has undici's limit. As many connections as there are requests: the driver counts those.
    this.#agent = new Agent({
      headersTimeout: 0,
      bodyTimeout: 0,
      allowH2: false,
      connect: connectorOf(options),
    });
  }

  /** Rejects only for a defect. */
  async post(post: HttpPost): Promise<HttpReply | Extract<SinkAnswer, { kind: 'retryable' | 'blocked' }>> {
    const { clock, timeoutMs } = this.#options;
    const giveUp = new AbortController();
    let why = 'stopped before it answered';
    const stop = (): void => giveUp.abort();
    const timer = clock.setTimer(timeoutMs, () => {
      why = `no answer within ${timeoutMs} ms`;
      giveUp.abort();
    });
    post.signal.addEventListener('abort', stop);
    if (post.signal.aborted) stop();
    try {
      return await this.#exchange(post, giveUp.signal);
    } catch (cause) {
      if (giveUp.signal.aborted) return { kind: 'retryable', reason: `${post.peer}: ${why}` };
      const failure = failureOf(cause, post.peer);
      if (failure === undefined) throw cause;
      return failure;
    } finally {
      timer.cancel();
      post.signal.removeEventListener('abort', stop);
    }
  }

  /** Ends all connections. */
  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  async #exchange({ url, headers, body }: HttpPost, signal: AbortSignal): Promise<HttpReply> {
    const response = await this.#agent.request({
      origin: url.origin,
      path: `${url.pathname}${url.search}`,
      method: 'POST',
      headers,
      body,
      signal,
    });
    const { bytes, isWhole } = await readUpTo(response.body, this.#options.answerBytesMax);
    return { kind: 'reply', status: response.statusCode, headers: response.headers, body: bytes, isWhole };
  }
}

type Connecting = buildConnector.BuildOptions | buildConnector.connector;

function connectorOf({ tls, timeoutMs, holdsProcess = true }: HttpClientOptions): Connecting {
  const options = { ...tls, timeout: timeoutMs, allowH2: false };
  if (holdsProcess) return options;
  // From the moment it begins to connect, which is why the connector is not left to undici; and for good: undici would
  // take the socket back for each request.
  const connect = buildConnector(options);
  return (target, done) => {
    const socket = connect(target, done) as unknown as Socket;
    socket.unref();
    socket.ref = () => socket;
  };
}

async function readUpTo(
  body: Dispatcher.ResponseData['body'],
  bytesMax: number,
): Promise<{ readonly bytes: Uint8Array; readonly isWhole: boolean }> {
  const chunks: Uint8Array[] = [];
  let byteLength = 0;
  for await (const chunk of body as AsyncIterable<Uint8Array>) {
    chunks.push(chunk);
    byteLength += chunk.length;
    // Leaving the loop destroys the body and, with it, the connection: its rest is not worth reading.
    if (byteLength > bytesMax) return { bytes: Buffer.concat(chunks, bytesMax), isWhole: false };
  }
  return { bytes: Buffer.concat(chunks, byteLength), isWhole: true };
}
