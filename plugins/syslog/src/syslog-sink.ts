// The sink: takes a batch, sends it piece by piece, and waits until each piece is confirmed before the next.
//
// It keeps no queue and repeats nothing by itself. A connection that was lost is opened again by the next batch. One
// batch at a time, so that the order is kept. What of a batch was confirmed is remembered until all of it is: when it
// comes again only the rest is sent, so that a receiver too slow for a whole batch in one time-out gets it in several.

import {
  Deadline,
  type HealthAnswer,
  networkFailure,
  Overdue,
  readTls,
  type Sink,
  type SinkAnswer,
  type SinkBatch,
  type SinkContext,
} from 'spillway/plugin';
import { type Confirmation, Confirmer } from './confirmation.ts';
import { Connection, ConnectionEnded, UnexpectedAnswer } from './connection.ts';
import type { MessageFormat } from './message.ts';
import { messageFormat, type SyslogOptions } from './options.ts';
import { keysOf, type Piece, piecesOf } from './pieces.ts';
import { TcpTable } from './tcp-table.ts';

type Failure = Extract<SinkAnswer, { readonly kind: 'retryable' | 'blocked' }>;

/** Bytes sent before the next confirmation: what a receiver has time for may be less, and is found out. */
const pieceBytesMost = 1024 * 1024;
const pieceBytesLeast = 16 * 1024;
/**
 * A receiver that wants TLS, or something else than syslog, reads what it does not understand and closes, which would
 * look like a confirmation. It does not wait for our end: so after a failure, and at first, we wait with that. One that
 * refuses our certificate says so only after the handshake: so we wait with a receipt as well.
 */
const trustMs = 100;
/** Nobody may have noticed that there is another receiver: after a pause, and once in a while, we wait again. */
const trustedIdleMs = 250;
const trustedMs = 10_000;
/** What a receiver is given to close a kept connection in turn. */
const closeTimeoutMs = 1_000;

export class SyslogSink implements Sink {
  readonly concurrencyMax = 1;
  readonly #options: SyslogOptions;
  readonly #context: SinkContext;
  readonly #format: MessageFormat;
  readonly #confirmer: Confirmer;
  /** Keys of events of a batch that is not through yet, always its first ones; its parts come in order. */
  readonly #confirmed = new Set<string>();
  #connection: Connection | undefined;
  #pieceBytesMax = pieceBytesMost;
  #isTrusted = false;
  /** When it was last waited whether a connection is kept, and when something was last confirmed. */
  #heldMs = 0;
  #confirmedMs = 0;
  #hasWarned = false;
  #isDelivering = false;

  constructor(options: SyslogOptions, context: SinkContext) {
    const { clock, files } = context.world;
    this.#options = options;
    this.#context = context;
    this.#format = messageFormat(options);
    this.#confirmer = new Confirmer(new TcpTable(files), clock);
  }

  async deliver(batch: SinkBatch, { signal }: { readonly signal: AbortSignal }): Promise<SinkAnswer> {
    this.#isDelivering = true;
    try {
      return await this.#deliver(batch, signal);
    } finally {
      this.#isDelivering = false;
    }
  }

  async #deliver(batch: SinkBatch, signal: AbortSignal): Promise<SinkAnswer> {
    const deadline = this.#deadline(signal);
    const [first = ''] = keysOf(batch);
    if (!this.#confirmed.has(first)) this.#confirmed.clear(); // Another one: that was given up.
    const options = {
      format: this.#format,
      hasKeys: this.#context.origin.uuid !== undefined,
      isConfirmed: (key: string) => this.#confirmed.has(key),
      bytesMax: () => this.#pieceBytesMax,
    };
    for (const piece of piecesOf(batch, options)) {
      if ('unsendable' in piece) return { kind: 'rejected', reason: piece.unsendable };
      const failure = await this.#send(piece, deadline);
      if (failure !== undefined) return failure;
      for (const key of piece.keys) this.#confirmed.add(key);
    }
    for (const key of keysOf(batch)) this.#confirmed.delete(key); // It is sent again if it comes again.
    return { kind: 'delivered' };
  }

  /** Opens a connection and ends it: a receiver that does not close in turn would never confirm anything. */
  async checkHealth({ signal }: { readonly signal: AbortSignal }): Promise<HealthAnswer> {
    const deadline = this.#deadline(signal);
    const failure = await this.#attempt(async () => {
      const connection = await this.#open(deadline);
      try {
        if (this.#options.confirm === 'close') await connection.end(deadline);
      } finally {
        connection.destroy();
      }
    });
    return failure ?? { kind: 'healthy' };
  }

  /** A connection that is kept is ended as it should be, if the receiver has time for it. */
  async close(): Promise<void> {
    const connection = this.#connection;
    if (connection?.isOpen && !this.#isDelivering) {
      const { signal } = new AbortController();
      const deadline = new Deadline({ clock: this.#context.world.clock, timeoutMs: closeTimeoutMs, signal });
      await connection.end(deadline).catch(() => undefined);
    }
    this.#drop();
  }

  #deadline(signal: AbortSignal): Deadline {
    return new Deadline({ clock: this.#context.world.clock, timeoutMs: this.#context.timeoutMs, signal });
  }

  async #send({ frames }: Piece, deadline: Deadline): Promise<Failure | undefined> {
    let isSending = false;
    let isSlow = false;
    const { confirm, tls } = this.#options;
    const isReceipt = confirm === 'receipt';
    if (!isReceipt && this.#isTrustOld()) this.#isTrusted = false;
    const failure = await this.#attempt(async () => {
      try {
        const connection = await this.#connected(deadline);
        isSending = true;
        await connection.write(frames, deadline);
        if (!this.#isTrusted && (isReceipt || !tls.enabled)) await this.#hold(connection, deadline);
        this.#noteConfirmation(await this.#confirm(connection, deadline));
      } catch (error) {
        isSlow = isSending && error instanceof Overdue;
        throw error;
      }
    });
    this.#isTrusted = failure === undefined;
    this.#confirmedMs = this.#context.world.clock.monotonic();
    if (failure === undefined) this.#pieceBytesMax = Math.min(pieceBytesMost, this.#pieceBytesMax * 2);
    else this.#giveUp();
    if (isSlow) this.#pieceBytesMax = Math.max(pieceBytesLeast, Math.floor(this.#pieceBytesMax / 2));
    return failure;
  }

  #isTrustOld(): boolean {
    const nowMs = this.#context.world.clock.monotonic();
    return nowMs - this.#confirmedMs > trustedIdleMs || nowMs - this.#heldMs > trustedMs;
  }

  async #hold(connection: Connection, deadline: Deadline): Promise<void> {
    await connection.hold(trustMs + 2 * connection.roundTripMs, deadline);
    this.#heldMs = this.#context.world.clock.monotonic();
  }

  async #confirm(connection: Connection, deadline: Deadline): Promise<Confirmation> {
    if (this.#options.confirm === 'receipt') {
      const confirmation = await this.#confirmer.ofReceipt(connection.ends, deadline);
      connection.check();
      return confirmation;
    }
    await connection.end(deadline);
    const confirmation = await this.#confirmer.ofEnd(connection.ends, deadline);
    this.#drop();
    return confirmation;
  }

  async #connected(deadline: Deadline): Promise<Connection> {
    const kept = this.#connection;
    if (kept?.isOpen) return kept;
    if (kept !== undefined) {
      this.#isTrusted = false;
      this.#noteLoss(kept);
    }
    this.#drop();
    this.#connection = await this.#open(deadline);
    return this.#connection;
  }

  async #open(deadline: Deadline): Promise<Connection> {
    const { address, tls, keepalive, connect_timeout_secs } = this.#options;
    const { clock, files } = this.#context.world;
    const reading = tls.enabled ? readTls(tls, files).catch(unreadable) : undefined;
    const settings = reading && (await deadline.within(reading, 'reading certificates'));
    const peer = { address, tls: settings, keepAliveMs: keepalive.time_secs };
    return await Connection.open(peer, clock, deadline.shortened(connect_timeout_secs));
  }

  /** A receipt was given for what came before on a connection that is kept: it must not be taken from the receiver. */
  #giveUp(): void {
    if (this.#options.confirm === 'close') this.#connection?.reset();
    this.#drop();
  }

  #drop(): void {
    this.#connection?.destroy();
    this.#connection = undefined;
  }

  /** Between two batches: nobody asked for it, and nobody else will tell. */
  #noteLoss(connection: Connection): void {
    try {
      connection.check();
    } catch (error) {
      const reason = this.#failureFor(error).reason;
      const message =
        'a kept connection was lost: what the receiver had not read of what it had confirmed is lost, too';
      this.#context.log.warn(message, { reason });
    }
  }

  #noteConfirmation(confirmation: Confirmation): void {
    if (confirmation === 'confirmed' || this.#hasWarned) return;
    this.#hasWarned = true;
    this.#context.log.warn('this system does not tell what was acknowledged: a failure may lose what was on its way');
  }

  async #attempt(work: () => Promise<void>): Promise<Failure | undefined> {
    try {
      await work();
      return undefined;
    } catch (error) {
      return this.#failureFor(error);
    }
  }

  /** Rethrows what is no failure of the receiver. */
  #failureFor(error: unknown): Failure {
    const { host, port } = this.#options.address;
    const peer = `${host}:${port}`;
    if (error instanceof ConnectionEnded || error instanceof Overdue)
      return { kind: 'retryable', reason: `${peer}: ${error.message}` };
    if (error instanceof UnexpectedAnswer)
      return {
        kind: 'blocked',
        reason: `${peer}: ${error.message}, and syslog has no answers: is it TLS that it wants?`,
      };
    if (error instanceof UnreadableFile) return { kind: 'blocked', reason: error.message };
    const failure = networkFailure(error, peer);
    if (failure !== undefined) return failure;
    // What Node itself says of a socket or of TLS that is not as it should be.
    if (error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_'))
      return { kind: 'retryable', reason: `${peer}: the connection failed (${error.code})` };
    throw error;
  }
}

/** Of certificates and keys. */
class UnreadableFile extends Error {
  override readonly name = 'UnreadableFile';
}

function unreadable(cause: unknown): never {
  throw new UnreadableFile(cause instanceof Error ? cause.message : String(cause), { cause });
}
