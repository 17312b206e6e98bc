// An HTTP/1.1 server for sources: it listens, holds every client to the same limits, and stops without leaving anybody
// half answered. What requests mean is its handler's business.
//
// Limits, each against somebody who takes without giving: connections; time for the head, for the body, and between
// requests; bytes of a body after decompression; bytes of all bodies together; requests on one connection that are not
// answered yet. Times for heads and between requests are kept by node:http on real time, all others by the clock.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { MiB } from '../../base/units.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Log } from '../contract/log.ts';
import type { Address } from '../contract/values.ts';
import { ThrottledLog } from '../delivery/throttled-log.ts';
import type { HttpHandler } from './http-answer.ts';
import { ByteBudget } from './http-budget.ts';
import { type ExchangeOptions, HttpExchange } from './http-exchange.ts';

export interface ListenerLimits {
  /** Of one body, after decompression. */
  readonly bodyBytesMax: number;
  /** Of all bodies that are held at once. */
  readonly inFlightBytesMax: number;
  readonly connectionsMax: number;
  readonly headTimeoutMs: number;
  readonly bodyTimeoutMs: number;
  readonly idleTimeoutMs: number;
}

export const listenerLimitDefaults: ListenerLimits = {
  bodyBytesMax: 20 * MiB,
  inFlightBytesMax: 64 * MiB,
  connectionsMax: 1024,
  headTimeoutMs: 10_000,
  bodyTimeoutMs: 30_000,
  idleTimeoutMs: 60_000,
};

export interface HttpListenerOptions {
  readonly handler: HttpHandler;
  readonly limits: ListenerLimits;
  readonly allowedOrigins: readonly string[];
  readonly clock: Clock;
  readonly log: Log;
}

/** More requests than this that wait for answers on one connection are no pipelining but a flood. */
const pipelinedMax = 64;
/** How long bodies that are under way are waited for when the listener stops. */
const stopGraceMs = 1_000;

export class HttpListener {
  readonly #server: Server;
  readonly #exchangeOptions: ExchangeOptions;
  readonly #budget: ByteBudget;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #refusals: ThrottledLog;
  readonly #drops: ThrottledLog;
  readonly #connections = new Map<Socket, Set<HttpExchange>>();
  readonly #cutting = new AbortController();
  /** Clients that have no answer yet, and handlers at work: for a client that has gone away, too. */
  #unfinishedCount = 0;
  #isStopping = false;
  /** Looks again whether what `close` waits for has come about. */
  #recheck: (() => void) | undefined;

  constructor({ handler, limits, allowedOrigins, clock, log }: HttpListenerOptions) {
    this.#clock = clock;
    this.#log = log;
    this.#refusals = new ThrottledLog({ clock, log, message: 'requests were refused' });
    this.#drops = new ThrottledLog({ clock, log, message: 'connections were closed: too many are open' });
    this.#budget = new ByteBudget(limits.inFlightBytesMax);
    this.#exchangeOptions = {
      handler,
      bodyBytesMax: limits.bodyBytesMax,
      bodyTimeoutMs: limits.bodyTimeoutMs,
      allowedOrigins,
      budget: this.#budget,
      clock,
      log,
      refusals: this.#refusals,
      cutting: this.#cutting.signal,
      isStopping: () => this.#isStopping,
    };
    this.#server = createServer({
      headersTimeout: limits.headTimeoutMs,
      // A second line: it also ends bodies that are thrown away.
      requestTimeout: limits.headTimeoutMs + 2 * limits.bodyTimeoutMs,
      keepAliveTimeout: limits.idleTimeoutMs,
      connectionsCheckingInterval: Math.min(1_000, limits.headTimeoutMs),
    });
    this.#server.maxConnections = limits.connectionsMax;
    this.#server.timeout = limits.idleTimeoutMs;
    this.#server
      .on('connection', (socket: Socket) => this.#connected(socket))
      .on('drop', () => this.#drops.add(1, { connectionsMax: limits.connectionsMax }))
      .on('request', (request, response) => this.#exchange(request, response, false))
      .on('checkContinue', (request, response) => this.#exchange(request, response, true))
      .on('timeout', (socket: Socket) => this.#silent(socket));
  }

  /** Bodies held at this moment. */
  get bytesInFlight(): number {
    return this.#budget.bytesTaken;
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  /** Resolves with the URL once it listens; rejects if it cannot. */
  async listen({ host, port }: Address): Promise<string> {
    await new Promise<void>((resolve, reject) => {
      const fail = (cause: Error): void => reject(listenError(host, port, cause));
      this.#server.once('error', fail).listen(port, host, () => {
        this.#server.off('error', fail);
        resolve();
      });
    });
    // From here on it is a connection that could not be accepted: too many open files, for example.
    this.#server.on('error', (error) => this.#log.warn('a connection could not be accepted', { error }));
    const bound = this.#server.address() as AddressInfo;
    return `http://${bound.family === 'IPv6' ? `[${bound.address}]` : bound.address}:${bound.port}`;
  }

  /** Accepts nothing more, answers what is under way, and resolves when every connection is closed. */
  async close(): Promise<void> {
    this.#isStopping = true;
    const closed = new Promise<void>((resolve) => {
      // An error says only that it does not listen.
      this.#server.close(() => resolve());
    });
    const timer = this.#clock.setTimer(stopGraceMs, () => this.#cutOff());
    await this.#until(() => this.#unfinishedCount === 0);
    timer.cancel();
    // What is left has asked for nothing, or not yet finished asking.
    this.#server.closeAllConnections();
    await closed;
    await this.#until(() => this.#connections.size === 0);
    this.#refusals.flush();
    this.#drops.flush();
  }

  async #until(holds: () => boolean): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#recheck = () => holds() && resolve();
      this.#recheck();
    });
  }

  /** Waits no longer for what only clients can do: to send the rest of a body, to read an answer. */
  #cutOff(): void {
    this.#cutting.abort();
    for (const [socket, exchanges] of this.#connections) {
      if (exchanges.size > 0 && [...exchanges].every(({ isAnswered }) => isAnswered)) socket.destroy();
    }
  }

  #connected(socket: Socket): void {
    const exchanges = new Set<HttpExchange>();
    this.#connections.set(socket, exchanges);
    socket.once('close', () => {
      this.#connections.delete(socket);
      for (const exchange of exchanges) this.#ended(exchange, exchanges);
      this.#recheck?.();
    });
  }

  #exchange(request: IncomingMessage, response: ServerResponse, expectsContinue: boolean): void {
    const exchanges = this.#connections.get(request.socket);
    if (exchanges === undefined) return;
    if (exchanges.size >= pipelinedMax) {
      request.socket.destroy();
      return;
    }
    const exchange = new HttpExchange(request, response, this.#exchangeOptions);
    exchanges.add(exchange);
    this.#unfinishedCount += 2;
    response.once('close', () => this.#ended(exchange, exchanges));
    response.on('error', (error) => this.#log.debug('an answer could not be sent', { error }));
    void exchange.run(expectsContinue).then(() => this.#finished());
  }

  #ended(exchange: HttpExchange, exchanges: Set<HttpExchange>): void {
    if (!exchanges.delete(exchange)) return;
    exchange.end();
    this.#finished();
  }

  #finished(): void {
    this.#unfinishedCount -= 1;
    this.#recheck?.();
  }

  /** Nothing was sent or received for a while. A client that waits for its answer is in its right. */
  #silent(socket: Socket): void {
    const exchanges = this.#connections.get(socket) ?? [];
    // If one does, the answer starts the time anew.
    if ([...exchanges].every((exchange) => exchange.isAnswered)) socket.destroy();
  }
}

function listenError(host: string, port: number, cause: Error): Error {
  const code = 'code' in cause ? String(cause.code) : cause.message;
  const why: Readonly<Record<string, string>> = {
    EADDRINUSE: 'another program, or another source of this config, listens there: stop it or choose another address',
    EADDRNOTAVAIL: 'this machine has no such address: choose one of its own, or 0.0.0.0 for all',
    EACCES: 'ports below 1024 need a privilege: choose a higher one',
  };
  const remedy = why[code] ?? 'see the cause';
  return new Error(`Could not listen on ${host}:${port} (${code}): ${remedy}.`, { cause });
}
