// One connection to a receiver, for one life: it is never restored, another one is opened.
//
// Syslog has no answers, so all that is heard from a receiver is the end of the connection, or an error. Whatever
// happens first decides for good; every step either comes about or rejects with that. An answer, on the other hand,
// means that whoever answers is no syslog receiver, or wants TLS.

import { connect, isIP, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import type { Address, Clock, Deadline, TlsSettings } from 'spillway/plugin';
import { HeldOpen } from './held-open.ts';
import type { TcpEnds } from './tcp-table.ts';

/** The receiver closed the connection although it was not its turn, or its system has lost it. */
export class ConnectionEnded extends Error {
  override readonly name = 'ConnectionEnded';
}

/** Something answered. */
export class UnexpectedAnswer extends Error {
  override readonly name = 'UnexpectedAnswer';
}

export interface Peer {
  readonly address: Address;
  /** Undefined: TCP alone. */
  readonly tls: TlsSettings | undefined;
  /** How long a connection is silent before the system asks whether it is still there. */
  readonly keepAliveMs: number;
}

/** How long a receiver may take to close after TLS was ended; then it is told by the end of TCP as well. */
const tlsEndPatienceMs = 1_000;

export class Connection {
  readonly #socket: Socket;
  readonly #clock: Clock;
  /** What is written to: the socket, or TLS on it. */
  #stream: Duplex;
  #ends: TcpEnds | undefined;
  #roundTripMs = 0;
  #failure: Error | undefined;
  /** TCP has ended on the receiver's side; and what is written to has told so, after all that came before. */
  #hasSocketEnded = false;
  #hasStreamEnded = false;
  #isClosing = false;
  #onChange: () => void = () => undefined;

  private constructor(socket: Socket, clock: Clock) {
    this.#socket = socket;
    this.#stream = socket;
    this.#clock = clock;
    socket.on('error', (error) => this.#fail(error));
    socket.on('end', () => {
      this.#hasSocketEnded = true;
      this.#onChange();
    });
    socket.on('close', () => this.#hasSocketEnded || this.#fail(new ConnectionEnded('the connection was lost')));
  }

  /** Connects, and shakes hands where TLS is wanted. Rejects with Overdue or the network's error. */
  static async open({ address, tls, keepAliveMs }: Peer, clock: Clock, deadline: Deadline): Promise<Connection> {
    const socket = connect({
      ...address,
      allowHalfOpen: true,
      keepAlive: true,
      keepAliveInitialDelay: keepAliveMs,
    });
    const connection = new Connection(socket, clock);
    const startedMs = clock.monotonic();
    try {
      await deadline.within(connection.#event(socket, 'connect'), 'connecting');
      connection.#ends = endsOf(socket);
      connection.#roundTripMs = clock.monotonic() - startedMs;
      if (tls !== undefined) await connection.#secure(address, tls, deadline);
      connection.#listen();
      return connection;
    } catch (error) {
      connection.destroy();
      throw error;
    }
  }

  get isOpen(): boolean {
    return this.#failure === undefined && !this.#isClosing;
  }

  /** How long it took to connect: about what a byte takes to the receiver and an answer back. */
  get roundTripMs(): number {
    return this.#roundTripMs;
  }

  get ends(): TcpEnds {
    return this.#ends as TcpEnds;
  }

  /** Resolves when the system has taken all of it, which says nothing about the receiver. */
  async write(bytes: Buffer, deadline: Deadline): Promise<void> {
    let isWritten = false;
    this.#stream.write(bytes, () => {
      isWritten = true;
      this.#onChange();
    });
    await this.#until(() => isWritten, deadline, 'sending');
  }

  /** Rejects if the receiver closes or answers within this time. */
  async hold(ms: number, deadline: Deadline): Promise<void> {
    let isOver = false;
    const timer = this.#clock.setTimer(ms, () => {
      isOver = true;
      this.#onChange();
    });
    try {
      await this.#until(() => isOver, deadline, 'waiting whether the receiver keeps the connection');
    } finally {
      timer.cancel();
    }
  }

  /** Says that nothing more comes, and resolves when the receiver has closed in turn. Then `destroy` is due. */
  async end(deadline: Deadline): Promise<void> {
    this.#isClosing = true;
    this.#stream.end();
    const isTls = this.#stream !== this.#socket;
    // RFC 5425 has receivers close when TLS is ended, but some may look at TCP alone.
    const timer = isTls ? this.#clock.setTimer(tlsEndPatienceMs, () => this.#socket.end()) : undefined;
    try {
      await this.#until(
        () => this.#hasSocketEnded && this.#hasStreamEnded,
        deadline,
        'waiting for the receiver to close the connection',
      );
    } finally {
      timer?.cancel();
    }
  }

  /** Rejects with what has happened to the connection meanwhile, if anything has. */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Gives the connection up. What was written may still arrive. */
  destroy(): void {
    this.#isClosing = true;
    this.#stream.destroy();
    this.#socket.destroy();
  }

  /**
   * Gives it up for good: neither system sends or hands out any more of it. Otherwise what waits here would go on
   * filling a slow link, and stand in the way of what is sent instead.
   */
  reset(): void {
    if (!this.#socket.connecting && !this.#hasSocketEnded) this.#socket.resetAndDestroy();
    this.destroy();
  }

  #listen(): void {
    this.#stream.on('data', () => this.#fail(new UnexpectedAnswer('something answered')));
    // Of TLS this comes after its errors: an alert stands before the end.
    this.#stream.on('end', () => {
      this.#hasStreamEnded = true;
      if (!this.#isClosing) this.#fail(new ConnectionEnded('the receiver closed the connection by itself'));
      this.#onChange();
    });
  }

  async #secure(address: Address, tls: TlsSettings, deadline: Deadline): Promise<void> {
    const { host } = address;
    const held = new HeldOpen(this.#socket);
    held.on('error', (error) => this.#fail(error));
    const stream: TLSSocket = connectTls({
      host,
      ...(isIP(host) === 0 ? { servername: host } : {}),
      ...tls,
      minVersion: 'TLSv1.2',
      socket: held,
    });
    this.#stream = stream;
    stream.on('error', (error) => this.#fail(error));
    await deadline.within(this.#event(stream, 'secureConnect'), 'shaking hands');
  }

  /** Rejects with the first error. */
  async #event(emitter: Duplex, name: string): Promise<void> {
    let hasCome = false;
    emitter.once(name, () => {
      hasCome = true;
      this.#onChange();
    });
    await this.#changed(() => hasCome);
  }

  async #until(isSo: () => boolean, deadline: Deadline, doing: string): Promise<void> {
    await deadline.within(this.#changed(isSo), doing);
  }

  /** One at a time: a step is waited for before the next begins. */
  #changed(isSo: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#onChange = () => {
        if (this.#failure !== undefined) reject(this.#failure);
        else if (isSo()) resolve();
      };
      this.#onChange();
    });
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#onChange();
  }
}

function endsOf({ localAddress = '', localPort = 0, remoteAddress = '', remotePort = 0 }: Socket): TcpEnds {
  return { local: { address: localAddress, port: localPort }, remote: { address: remoteAddress, port: remotePort } };
}
