// What a listener answers, as data, and what it refuses on its own account, whoever it listens for.

import type { IncomingMessage } from 'node:http';

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | string;
}

/** A request that is not taken. The words are for the client; the handler gives them the form its clients read. */
export interface Refusal {
  readonly status: 400 | 403 | 404 | 405 | 408 | 413 | 415 | 429 | 500 | 503;
  readonly message: string;
  readonly retryAfterMs?: number;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface HttpHandler {
  /** What the head alone forbids, before a byte of the body is read. */
  refusesHead(head: IncomingMessage): Refusal | undefined;
  /** The whole body, decompressed. `gone` is aborted when the client has gone away. */
  handle(head: IncomingMessage, body: Uint8Array, gone: AbortSignal): Promise<HttpAnswer | Refusal>;
  /** A refusal in a form that the client of this request understands. */
  answerRefusal(head: IncomingMessage, refusal: Refusal): HttpAnswer;
}

/** `Retry-After` in whole seconds, at least one: zero would invite the client back at once. */
export function retryAfterHeader(retryAfterMs: number | undefined): Readonly<Record<string, string>> {
  return retryAfterMs === undefined ? {} : { 'retry-after': String(Math.max(1, Math.ceil(retryAfterMs / 1000))) };
}
