// One connection to a server, for one life: when it is lost it is never restored, another one is opened. It resends
// nothing and keeps no message: once written, a message is a packet id and a length that wait for their PUBACK.
//
// Never more publishes are under way than the server allows (Receive Maximum), nor more than `inFlightMax`, nor more
// bytes than `inFlightBytesMax`: what the socket has to hold back for a slow server is bounded by that.
//
// An answer belongs to the packet id that it names. When one does not come in time the connection is given up: the id
// would be taken again, and a late answer taken for that of another message. Nor does MQTT allow to send a message
// again on the connection that it was sent on.
import type { Socket } from 'node:net';
import type { Clock, Deadline, HostFiles } from 'spillway/plugin';
import {
  answerFor,
  ConnectionFailed,
  connackFailure,
  disconnectFailure,
  type Failure,
  socketFailure,
} from './failure.ts';
import { KeepAlive } from './keep-alive.ts';
import {
  type Connect,
  encodeConnect,
  encodeDisconnect,
  encodePing,
  encodePublish,
  type Message,
  type Publish,
  packetBytesMax,
  publishBytes,
} from './packet.ts';
import { PacketReader, type ServerPacket } from './packet-reader.ts';
import { openSocket, type Server } from './socket.ts';
import { ProtocolViolation } from './violation.ts';

type Connack = Extract<ServerPacket, { readonly kind: 'connack' }>;
type Puback = Extract<ServerPacket, { readonly kind: 'puback' }>;

/** One message may be longer: it then goes alone. */
const inFlightBytesMax = 4 * 1024 * 1024;
/** What the server says in CONNACK counts, and without a word of it this. */
const receiveMaximumDefault = 65_535;
/** How long the last words may take that a connection is ended with. */
const farewellMs = 1_000;

export interface ConnectionOptions {
  readonly server: Server;
  readonly connect: Connect;
  readonly isRetained: boolean;
  /** Whether somebody chose the client id, so that somebody else may have chosen the same. */
  readonly isClientIdChosen: boolean;
  readonly inFlightMax: number;
  readonly clock: Clock;
  readonly files: HostFiles;
}

interface InFlight {
  readonly bytes: number;
  readonly answered: (puback: Puback) => void;
}

export class MqttConnection {
  readonly #options: ConnectionOptions;
  readonly #socket: Socket;
  readonly #reader: PacketReader;
  readonly #inFlight = new Map<number, InFlight>();
  #inFlightBytes = 0;
  #keepAlive: KeepAlive | undefined;
  #connack: Connack | undefined;
  #pings = 0;
  #pongs = 0;
  #isCorked = false;
  #failure: ConnectionFailed | undefined;
  /** Resolved whenever something was heard, or the connection is lost. */
  #news = Promise.withResolvers<void>();

  private constructor(socket: Socket, options: ConnectionOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#reader = new PacketReader(options.connect.version);
    const { peer } = options.server;
    socket.on('data', (chunk: Buffer) => this.#hear(chunk));
    socket.on('error', (error) => this.#lost(socketFailure(error, peer)));
    socket.on('close', () => this.#lost({ kind: 'retryable', reason: `${peer}: the server closed the connection` }));
  }

  /** Connects and waits for CONNACK. Rejects with ConnectionFailed or Overdue. */
  static async open(options: ConnectionOptions, deadline: Deadline): Promise<MqttConnection> {
    const socket = await openSocket(options.server, options.files, deadline);
    const connection = new MqttConnection(socket, options);
    try {
      socket.write(encodeConnect(options.connect));
      await deadline.within(connection.#connected(), 'waiting for CONNACK');
      return connection;
    } catch (error) {
      socket.destroy();
      throw error;
    }
  }

  get isOpen(): boolean {
    return this.#failure === undefined;
  }

  /** Why it is not open. */
  get failure(): Failure | undefined {
    return this.#failure?.answer;
  }

  /** Whether the server goes on with the session of an earlier connection. */
  get isSessionPresent(): boolean {
    return this.#connack?.isSessionPresent === true;
  }

  /** The longest packet that the server takes. */
  get packetBytesMax(): number {
    return Math.min(this.#connack?.properties.packetBytesMax ?? packetBytesMax, packetBytesMax);
  }

  /** Waits until a message of so many bytes may be sent. Rejects with ConnectionFailed. */
  async room(bytes: number): Promise<void> {
    while (!this.#hasRoom(bytes)) await this.#hearMore();
  }

  /** Sends a message for which there is room. `answered` is told what the server says to it, if it ever does. */
  publish(message: Message, publish: Publish, answered: (puback: Puback) => void): void {
    this.#check();
    const bytes = publishBytes(message);
    this.#inFlight.set(publish.packetId, { bytes, answered });
    this.#inFlightBytes += bytes;
    this.#cork();
    this.#socket.write(encodePublish(message, publish));
  }

  /** Waits until every message is answered. Rejects with ConnectionFailed. */
  async settled(): Promise<void> {
    while (this.#inFlight.size > 0) await this.#hearMore();
  }

  /** Waits until the server has shown that it is there. Rejects with ConnectionFailed. */
  async ping(): Promise<void> {
    const awaited = this.#ask();
    while (this.#pongs < awaited) await this.#hearMore();
  }

  /** Ends it at once. Whoever waits is told why. */
  giveUp(failure: Failure): void {
    this.#fail(failure);
  }

  /** Takes leave of the server, with `endsSession` of what it keeps, too. Resolves when the socket is closed. */
  async end(endsSession: boolean): Promise<void> {
    const socket = this.#socket;
    const closed = new Promise<void>((resolve) => {
      if (socket.closed) resolve();
      else socket.once('close', () => resolve());
    });
    if (this.isOpen) {
      const timer = this.#options.clock.setTimer(farewellMs, () => socket.destroy());
      socket.end(encodeDisconnect(this.#options.connect.version, endsSession), () => socket.destroy());
      await closed;
      timer.cancel();
    }
    this.#fail({ kind: 'retryable', reason: 'the connection was ended' });
    await closed;
  }

  async #connected(): Promise<void> {
    while (this.#connack === undefined) await this.#hearMore();
    const { properties } = this.#connack;
    const { clock, connect, isRetained } = this.#options;
    if (properties.maximumQos === 0) this.#refuse('the server takes QoS 0 only, which nobody acknowledges');
    if (isRetained && properties.isRetainAvailable === false) this.#refuse('the server retains no messages');
    const keepAliveSecs = properties.keepAliveSecs ?? connect.keepAliveSecs;
    this.#keepAlive = new KeepAlive({
      clock,
      intervalMs: keepAliveSecs * 1000,
      ask: () => void this.#ask(),
      lost: () => this.#fail({ kind: 'retryable', reason: `${this.#options.server.peer}: no sign of life` }),
    });
  }

  #refuse(reason: string): never {
    this.#fail({ kind: 'blocked', reason });
    throw this.#failure;
  }

  #hasRoom(bytes: number): boolean {
    this.#check();
    if (this.#inFlight.size === 0) return true;
    const receiveMaximum = this.#connack?.properties.receiveMaximum ?? receiveMaximumDefault;
    if (this.#inFlight.size >= Math.min(receiveMaximum, this.#options.inFlightMax)) return false;
    return this.#inFlightBytes + bytes <= inFlightBytesMax;
  }

  /** What is written in one go leaves in one go. */
  #cork(): void {
    if (this.#isCorked) return;
    this.#isCorked = true;
    this.#socket.cork();
    this.#options.clock.defer(() => {
      this.#isCorked = false;
      this.#socket.uncork();
    });
  }

  #ask(): number {
    this.#socket.write(encodePing());
    this.#pings += 1;
    return this.#pings;
  }

  async #hearMore(): Promise<void> {
    this.#check();
    await this.#news.promise;
    this.#check();
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  #hear(chunk: Buffer): void {
    this.#keepAlive?.heard();
    try {
      for (const packet of this.#reader.read(chunk)) {
        this.#take(packet);
        if (!this.isOpen) break;
      }
    } catch (error) {
      this.#fail(answerFor(error, this.#options.server.peer));
    }
    this.#tell();
  }

  #take(packet: ServerPacket): void {
    const isExpected = (packet.kind === 'connack') === (this.#connack === undefined);
    if (!isExpected) throw new ProtocolViolation(`${packet.kind.toUpperCase()} when it was not its turn`);
    switch (packet.kind) {
      case 'connack':
        this.#welcome(packet);
        break;
      case 'puback':
        this.#settle(packet);
        break;
      case 'pingresp':
        this.#pongs += 1;
        break;
      case 'disconnect':
        this.#told(disconnectFailure(packet));
        break;
      case 'publish': {
        const reason = 'the session of this client_id has subscriptions: give the sink a client_id of its own';
        this.#told({ kind: 'blocked', reason });
        break;
      }
    }
  }

  #welcome(connack: Connack): void {
    if (connack.code !== 0) this.#told(connackFailure(connack));
    else if (connack.isSessionPresent && this.#options.connect.isClean) {
      throw new ProtocolViolation('an old session although a new one was asked for');
    } else this.#connack = connack;
  }

  #settle(puback: Puback): void {
    const found = this.#inFlight.get(puback.packetId);
    if (found === undefined) throw new ProtocolViolation('a PUBACK for no message that is under way');
    this.#inFlight.delete(puback.packetId);
    this.#inFlightBytes -= found.bytes;
    found.answered(puback);
  }

  /** It ended without a word of the server's, or with one that was lost: what is unread goes with a reset. */
  #lost(failure: Failure): void {
    const hint = '; if this comes again and again, another client may have this client_id';
    const isTakenPerhaps = this.#connack !== undefined && this.#options.isClientIdChosen;
    this.#fail(isTakenPerhaps ? { ...failure, reason: `${failure.reason}${hint}` } : failure);
  }

  /** The server said so itself. */
  #told(failure: Failure): void {
    this.#fail({ ...failure, reason: `${this.#options.server.peer}: ${failure.reason}` });
  }

  #fail(failure: Failure): void {
    if (this.#failure !== undefined) return;
    this.#failure = new ConnectionFailed(failure);
    this.#keepAlive?.stop();
    this.#socket.destroy();
    this.#tell();
  }

  #tell(): void {
    this.#news.resolve();
    this.#news = Promise.withResolvers();
  }
}
