// One request and its answer: the head is judged, the body is read, the handler is asked, the answer is sent. Whatever
// happens to the client on the way, the exchange ends and gives back what it held.

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '../../platform/clock.ts';
import type { Log } from '../contract/log.ts';
import type { ThrottledLog } from '../delivery/throttled-log.ts';
import type { HttpAnswer, HttpHandler, Refusal } from './http-answer.ts';
import { type BodyCoding, type BodyFailure, type BodyResult, readBody } from './http-body.ts';
import type { BudgetShare, ByteBudget } from './http-budget.ts';
import { answerPreflight, judgeOrigin } from './http-origin.ts';

/** How long an answered client may go on sending a body that nobody wants, so that it can read the answer. */
const lingerMs = 2_000;
/** How many times the largest body. It costs bandwidth, and no memory. */
const lingerFactor = 4;
const busyRetryAfterMs = 1_000;

export interface ExchangeOptions {
  readonly handler: HttpHandler;
  readonly bodyBytesMax: number;
  readonly bodyTimeoutMs: number;
  readonly allowedOrigins: readonly string[];
  readonly budget: ByteBudget;
  readonly clock: Clock;
  readonly log: Log;
  /** Where refusals are told to the operator. */
  readonly refusals: ThrottledLog;
  /** Aborted when bodies are no longer waited for. */
  readonly cutting: AbortSignal;
  readonly isStopping: () => boolean;
}

export class HttpExchange {
  readonly #options: ExchangeOptions;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #share: BudgetShare;
  readonly #gone = new AbortController();
  #originHeaders: Readonly<Record<string, string>> = {};
  #isAnswered = false;
  /** The client waits for a word before it sends the body, and has not got it: the body may never come. */
  #isBodyHeldBack = false;

  constructor(request: IncomingMessage, response: ServerResponse, options: ExchangeOptions) {
    this.#options = options;
    this.#request = request;
    this.#response = response;
    this.#share = options.budget.share();
  }

  /** What is left to do is the client's: to read the answer. */
  get isAnswered(): boolean {
    return this.#isAnswered;
  }

  /** The connection is gone, or the answer is out. */
  end(): void {
    if (!this.#response.writableFinished) this.#gone.abort();
  }

  /** Never rejects. `expectsContinue`: the client waits for a word before it sends the body. */
  async run(expectsContinue: boolean): Promise<void> {
    const { log } = this.#options;
    this.#isBodyHeldBack = expectsContinue;
    try {
      const answer = await this.#answer();
      if (answer !== undefined) this.#send(answer);
    } catch (error) {
      log.error('a request could not be answered: this is a defect', { error });
      if (!this.#response.headersSent) this.#send(this.#refuse({ status: 500, message: 'internal error' }));
    } finally {
      this.#share.release();
    }
  }

  async #answer(): Promise<HttpAnswer | undefined> {
    const verdict = judgeOrigin(this.#request, this.#options.allowedOrigins);
    if (verdict.kind === 'refused') return this.#refuse(verdict.refusal);
    if (verdict.kind === 'allowed') {
      this.#originHeaders = verdict.headers;
      const preflight = answerPreflight(this.#request);
      if (preflight !== undefined) return preflight;
    }
    const refusal = this.#options.handler.refusesHead(this.#request) ?? this.#refusesBody();
    if (refusal !== undefined) return this.#refuse(refusal);
    const coding = codingOf(this.#request);
    if (coding === undefined) return this.#refuse(unknownCoding);
    if (this.#isBodyHeldBack) this.#response.writeContinue();
    this.#isBodyHeldBack = false;
    const body = await this.#readBody(coding);
    if (body.kind === 'gone') return undefined;
    if (body.kind !== 'whole') return this.#refuse(this.#refusalOf(body));
    if (this.#gone.signal.aborted) return undefined;
    const result = await this.#options.handler.handle(this.#request, body.bytes, this.#gone.signal);
    return 'message' in result ? this.#refuse(result) : result;
  }

  #refusesBody(): Refusal | undefined {
    const { bodyBytesMax, isStopping } = this.#options;
    if (isStopping()) return stopping;
    const announced = Number(this.#request.headers['content-length'] ?? 0);
    return announced > bodyBytesMax ? this.#refusalOf({ kind: 'too_large' }) : undefined;
  }

  #readBody(coding: BodyCoding): Promise<BodyResult> {
    const { bodyBytesMax, bodyTimeoutMs, clock, cutting } = this.#options;
    const limits = { bytesMax: bodyBytesMax, timeoutMs: bodyTimeoutMs };
    return readBody(this.#request, { coding, ...limits, share: this.#share, clock, signal: cutting });
  }

  #refusalOf(body: BodyFailure): Refusal {
    const { bodyBytesMax, bodyTimeoutMs } = this.#options;
    switch (body.kind) {
      case 'too_large':
        return { status: 413, message: `the body is larger than ${bodyBytesMax} bytes; send smaller batches` };
      case 'no_room':
        return { status: 429, message: 'too many bytes are in flight; come again', retryAfterMs: busyRetryAfterMs };
      case 'too_slow':
        return { status: 408, message: `the body did not arrive within ${bodyTimeoutMs} ms` };
      case 'malformed':
        return { status: 400, message: body.reason };
      case 'cut':
        return stopping;
    }
  }

  #refuse(refusal: Refusal): HttpAnswer {
    this.#options.refusals.add(1, { status: refusal.status, reason: refusal.message });
    return this.#options.handler.answerRefusal(this.#request, refusal);
  }

  #send({ status, headers, body }: HttpAnswer): void {
    this.#isAnswered = true;
    this.#share.release();
    if (this.#response.destroyed) return;
    const rest = restOf(this.#request, this.#options.bodyBytesMax);
    const isLast = rest === 'unbounded' || status === 408 || this.#isBodyHeldBack || this.#options.isStopping();
    const length: Record<string, string> = status === 204 ? {} : { 'content-length': String(Buffer.byteLength(body)) };
    const last: Record<string, string> = isLast ? { connection: 'close' } : {};
    this.#response.writeHead(status, { ...headers, ...this.#originHeaders, ...length, ...last });
    // An empty body would be a write of its own beside the head.
    if (rest === 'none' || !isLast) this.#response.end(body.length === 0 ? undefined : body);
    else this.#sendAndLinger(body);
  }

  /**
   * Closing while a client sends resets the connection, and the client never sees the answer. So the answer goes out,
   * what comes is thrown away for a while, and the connection closes then.
   */
  #sendAndLinger(body: Uint8Array | string): void {
    const { clock, bodyBytesMax } = this.#options;
    let bytesLeft = lingerFactor * bodyBytesMax;
    const finish = (): void => {
      timer.cancel();
      this.#request.off('data', onData).off('end', finish).off('close', finish);
      this.#response.end();
    };
    const onData = (chunk: Buffer): void => {
      bytesLeft -= chunk.length;
      if (bytesLeft < 0) finish();
    };
    const timer = clock.setTimer(lingerMs, finish);
    this.#response.write(body);
    this.#request.on('data', onData).once('end', finish).once('close', finish).resume();
  }
}

const stopping: Refusal = { status: 503, message: 'the pipeline is stopping; come again', retryAfterMs: 1_000 };

const unknownCoding: Refusal = {
  status: 415,
  message: 'the content-encoding is none of gzip, deflate, zstd, identity',
  headers: { 'accept-encoding': 'gzip, deflate, zstd, identity' },
};

const codings: readonly BodyCoding[] = ['identity', 'gzip', 'deflate', 'zstd'];

function codingOf({ headers }: IncomingMessage): BodyCoding | undefined {
  const named = headers['content-encoding']?.trim().toLowerCase() ?? '';
  return named === '' ? 'identity' : codings.find((coding) => coding === named);
}

/** What is still to come of a body that is not read any further; `bounded` is thrown away and the connection stays. */
function restOf(request: IncomingMessage, bytesMax: number): 'none' | 'bounded' | 'unbounded' {
  const { 'content-length': length, 'transfer-encoding': transfer } = request.headers;
  if (request.complete || (length === undefined && transfer === undefined)) return 'none';
  return length !== undefined && Number(length) <= bytesMax ? 'bounded' : 'unbounded';
}
