// An HTTP listener for tests, in virtual time but on real sockets, with a handler that answers the length of each body.

import type { IncomingMessage } from 'node:http';
import { expect } from 'vitest';
import {
  type HttpAnswer,
  type HttpHandler,
  type Refusal,
  retryAfterHeader,
} from '../src/pipeline/sources/http-answer.ts';
import { HttpListener, type ListenerLimits, listenerLimitDefaults } from '../src/pipeline/sources/http-listener.ts';
import { MemoryLog, type SimulatedWorld, simulatedWorld } from '../src/testing/index.ts';
import { postOnce, RawClient, type RawReply } from './http-rig.ts';

/** Answers the length of each body, when it is told to. */
class Measurer implements HttpHandler {
  readonly bodies: Uint8Array[] = [];
  readonly gone: AbortSignal[] = [];
  answerAll: Promise<unknown> = Promise.resolve();

  refusesHead({ url }: IncomingMessage): Refusal | undefined {
    return url === '/missing' ? { status: 404, message: 'missing' } : undefined;
  }

  async handle(head: IncomingMessage, body: Uint8Array, gone: AbortSignal): Promise<HttpAnswer> {
    this.bodies.push(body);
    this.gone.push(gone);
    await this.answerAll;
    if (head.url === '/broken') throw new Error('broken on purpose');
    return { status: 200, headers: {}, body: String(body.length) };
  }

  answerRefusal(_head: IncomingMessage, { status, message, retryAfterMs, headers }: Refusal): HttpAnswer {
    return { status, headers: { ...headers, ...retryAfterHeader(retryAfterMs) }, body: message };
  }
}

export class ListenerRig {
  readonly world: SimulatedWorld = simulatedWorld();
  readonly log: MemoryLog = new MemoryLog();
  readonly handler: Measurer = new Measurer();
  readonly #clients: RawClient[] = [];
  #listener: HttpListener | undefined;
  #url = '';

  get listener(): HttpListener {
    if (this.#listener === undefined) throw new Error('the test did not listen');
    return this.#listener;
  }

  get url(): string {
    return this.#url;
  }

  /** Another one, which does not listen yet. */
  make(limits: Partial<ListenerLimits> = {}, allowedOrigins: readonly string[] = []): HttpListener {
    const { handler, log, world } = this;
    const all = { ...listenerLimitDefaults, ...limits };
    return new HttpListener({ handler, limits: all, allowedOrigins, clock: world.clock, log });
  }

  async listen(limits: Partial<ListenerLimits> = {}, allowedOrigins: readonly string[] = []): Promise<void> {
    this.#listener = this.make(limits, allowedOrigins);
    this.#url = await this.#listener.listen({ host: '127.0.0.1', port: 0 });
  }

  async client(): Promise<RawClient> {
    const made = await RawClient.connect(this.#url);
    this.#clients.push(made);
    return made;
  }

  post(body: string | Uint8Array, headers: Readonly<Record<string, string | number>> = {}): Promise<RawReply> {
    return postOnce(this.#url, '/', headers, body);
  }

  /** Keeps every later answer back. */
  hold(): { readonly release: () => void } {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.handler.answerAll = promise;
    return { release: resolve };
  }

  /** Whatever the test did, nothing is left of it. */
  async end(): Promise<void> {
    for (const each of this.#clients) each.destroy();
    await this.listener.close();
    expect(this.listener.bytesInFlight).toBe(0);
    expect(this.listener.connectionCount).toBe(0);
    expect(this.world.clock).toHaveProperty('owedCount', 0);
  }
}

/** Bytes that do not compress, the same in every run. */
export function noise(size: number): Buffer {
  const bytes = Buffer.alloc(size);
  let state = 1;
  for (let at = 0; at < size; at++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    bytes[at] = state >>> 16;
  }
  return bytes;
}
