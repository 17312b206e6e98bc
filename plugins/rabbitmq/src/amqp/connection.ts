// One connection with one channel, for one life: when it is lost, or the server closes either of the two, it is over,
// and another one is opened by whoever needs it. Nothing is queued here, nothing is sent twice.
//
// Why our own: rabbitmq-client 5.0.8 connects again by itself, announces a return only after the confirmation of the
// same message, and corks a blocked socket, so that everything written then stays in memory. amqplib 2.3.1 reads on
// before anybody can listen: a close, or bytes that are no AMQP, right behind the answer to connection.open throw where
// nobody can catch it, and the process ends; and it gives no reason when the server refuses the virtual host. What a
// publisher needs of AMQP is in this folder.
//
// What can go wrong: bytes that are no AMQP, answers that nobody asked for, and a peer that is gone without a word. The
// first two end the connection, the third is noticed by its heartbeats that are missing.
import type { Socket } from 'node:net';
import type { Clock, Timer } from 'spillway/plugin';
import { ConnectionLost, ServerRefusal } from './ending.ts';
import { type Frame, FrameReader, frameType, heartbeatFrame } from './frame.ts';
import { channelNumber, method, methodFrame, readHeader } from './method.ts';
import { Malformed, WireReader } from './wire.ts';

/** What the server says without being asked. Called while its bytes are read: must not throw. */
export interface ConnectionEvents {
  /** A mandatory message had nowhere to go. Its confirmation follows. */
  returned(messageId: string, reason: string): void;
  /** `isMultiple`: and all before it that are not confirmed yet. */
  confirmed(tag: number, isMultiple: boolean, isAck: boolean): void;
  /** It blocks publishers, or does no longer, or the connection has ended. */
  changed(): void;
}

export interface ConnectionOptions {
  readonly clock: Clock;
  readonly events: ConnectionEvents;
  /** Takes what must not be shown out of what the server says. */
  readonly redact: (text: string) => string;
}

/** Before the two sides have agreed. The server's first frame lists what it can do. */
const firstFrameBytesMax = 128 * 1024;
/** Answers that came before anybody waited for them: one call is under way at a time. */
const answersMax = 4;
/** A server that was told goodbye is not waited for longer. */
const goodbyeMs = 500;

interface Waiting {
  readonly id: number;
  resolve(fields: WireReader): void;
  reject(error: Error): void;
}

export class AmqpConnection {
  /** Of whole frames; the smaller one of what both sides want. */
  frameBytesMax: number = firstFrameBytesMax;
  readonly #socket: Socket;
  readonly #clock: Clock;
  readonly #events: ConnectionEvents;
  readonly #redact: (text: string) => string;
  readonly #frames = new FrameReader(firstFrameBytesMax);
  readonly #answers: { readonly id: number; readonly fields: WireReader }[] = [];
  #waiting: Waiting | undefined;
  #ended: Error | undefined;
  #blockedReason: string | undefined;
  /** A returned message that is being read. `bodyBytes`: still to come; undefined before its header. */
  #returning: { readonly reason: string; messageId: string; bodyBytes: number | undefined } | undefined;
  #heartbeat: Timer | undefined;
  #hasSent = false;
  #hasReceived = false;

  constructor(socket: Socket, { clock, events, redact }: ConnectionOptions) {
    this.#socket = socket;
    this.#clock = clock;
    this.#events = events;
    this.#redact = redact;
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('error', (cause) => this.end(new ConnectionLost('the connection was lost', { cause })));
    const onClose = (): void => this.end(new ConnectionLost('the server closed the connection without a word'));
    socket.on('end', onClose).on('close', onClose);
  }

  /** Why it is over, if it is. */
  get ended(): Error | undefined {
    return this.#ended;
  }

  /** Why the server takes no messages now: memory or disk is short. */
  get blockedReason(): string | undefined {
    return this.#blockedReason;
  }

  /** Whether the socket holds more than it should: wait for `drained`. */
  get isFull(): boolean {
    return this.#socket.writableNeedDrain;
  }

  /** Sends pieces in one go. */
  send(pieces: readonly Buffer[]): void {
    if (this.#ended !== undefined) throw this.#ended;
    this.#hasSent = true;
    for (const piece of pieces) this.#socket.write(piece);
  }

  /** What is sent until `uncork` goes to the system together. */
  cork(): void {
    this.#socket.cork();
  }

  uncork(): void {
    this.#socket.uncork();
  }

  /** Calls `then` once when the socket has room. Gives what takes the call back. */
  onDrain(then: () => void): () => void {
    this.#socket.once('drain', then);
    return () => this.#socket.off('drain', then);
  }

  /** Sends a method and resolves with the fields of this answer. One at a time. */
  async call(request: Buffer, answer: number): Promise<WireReader> {
    this.send([request]);
    return await this.expect(answer);
  }

  /** Resolves with the fields of the next answer, which must be this one. */
  async expect(id: number): Promise<WireReader> {
    if (this.#ended !== undefined) throw this.#ended;
    const found = this.#answers.shift();
    if (found !== undefined) return fieldsOf(found, id);
    return await new Promise<WireReader>((resolve, reject) => {
      this.#waiting = { id, resolve, reject };
    });
  }

  /** From now on: frames of this size, and a sign of life in both directions. 0: none. */
  agree(frameBytesMax: number, heartbeatMs: number): void {
    this.frameBytesMax = frameBytesMax;
    this.#frames.frameBytesMax = frameBytesMax;
    if (heartbeatMs > 0) this.#beat(heartbeatMs, 0);
  }

  /** Gives it up at once. Whoever waits is told. */
  end(error: Error): void {
    if (this.#ended !== undefined) return;
    this.#ended = error;
    this.#heartbeat?.cancel();
    this.#socket.destroy();
    this.#waiting?.reject(error);
    this.#waiting = undefined;
    this.#events.changed();
  }

  /** Says goodbye, and waits for the answer no longer than a moment. */
  async close(): Promise<void> {
    if (this.#ended !== undefined) return;
    const goodbye = methodFrame(0, method.connectionClose, (writer) =>
      writer.uint16(200).shortText('goodbye').uint32(0),
    );
    let timer: Timer | undefined;
    const patience = new Promise<void>((resolve) => {
      timer = this.#clock.setTimer(goodbyeMs, resolve);
    });
    const answered = this.#waiting === undefined ? this.call(goodbye, method.connectionCloseOk) : undefined;
    await Promise.race([answered?.catch(() => undefined), patience]);
    timer?.cancel();
    this.end(new ConnectionLost('the connection is closed'));
  }

  #receive(chunk: Buffer): void {
    this.#hasReceived = true;
    try {
      for (const frame of this.#frames.read(chunk)) {
        this.#take(frame);
        if (this.#ended !== undefined) return;
      }
    } catch (error) {
      this.end(error as Error);
    }
  }

  #take({ type, channel, payload }: Frame): void {
    if (type === frameType.heartbeat) return;
    if (channel > channelNumber) throw new Malformed(`there is no channel ${channel}`);
    const fields = new WireReader(payload);
    if (type === frameType.method) this.#takeMethod(fields.uint32(), fields);
    else if (type === frameType.header) this.#takeHeader(fields);
    else this.#takeBody(payload.length);
  }

  #takeMethod(id: number, fields: WireReader): void {
    if (this.#returning !== undefined) throw new Malformed('a returned message is cut short');
    switch (id) {
      case method.basicAck:
      case method.basicNack: {
        const tag = fields.uint64();
        this.#events.confirmed(tag, (fields.uint8() & 1) === 1, id === method.basicAck);
        break;
      }
      case method.basicReturn:
        this.#returning = { reason: returnReason(fields, this.#redact), messageId: '', bodyBytes: undefined };
        break;
      case method.connectionBlocked:
      case method.connectionUnblocked: {
        const reason = id === method.connectionBlocked ? this.#redact(fields.shortText()) : undefined;
        this.#blockedReason = reason === '' ? 'it does not say why' : reason;
        this.#events.changed();
        break;
      }
      case method.connectionClose:
        this.#refused(fields, methodFrame(0, method.connectionCloseOk));
        break;
      case method.channelClose:
        this.#refused(fields, methodFrame(channelNumber, method.channelCloseOk));
        break;
      default:
        this.#answered(id, fields);
    }
  }

  #answered(id: number, fields: WireReader): void {
    const waiting = this.#waiting;
    if (waiting === undefined) {
      if (this.#answers.length === answersMax) throw new Malformed(`nobody asked for method ${nameOf(id)}`);
      this.#answers.push({ id, fields });
      return;
    }
    const found = fieldsOf({ id, fields }, waiting.id);
    this.#waiting = undefined;
    waiting.resolve(found);
  }

  #refused(fields: WireReader, answer: Buffer): void {
    const code = fields.uint16();
    const text = this.#redact(fields.shortText());
    this.#socket.write(answer);
    this.end(new ServerRefusal(code, text));
  }

  #takeHeader(fields: WireReader): void {
    const returning = this.#returning;
    if (returning === undefined || returning.bodyBytes !== undefined)
      throw new Malformed('a header belongs to nothing');
    const { bodyBytes, messageId } = readHeader(fields);
    returning.bodyBytes = bodyBytes;
    returning.messageId = messageId;
    this.#takeBody(0);
  }

  /** The body of a returned message is ours: only its length is of interest. */
  #takeBody(bytes: number): void {
    const returning = this.#returning;
    if (returning?.bodyBytes === undefined) throw new Malformed('a body belongs to nothing');
    returning.bodyBytes -= bytes;
    if (returning.bodyBytes < 0) throw new Malformed('a returned message is longer than it says');
    if (returning.bodyBytes > 0) return;
    this.#returning = undefined;
    this.#events.returned(returning.messageId, returning.reason);
  }

  /** Twice in an interval: says that we are there, and after two intervals of silence that the server is not. */
  #beat(heartbeatMs: number, silentHalves: number): void {
    this.#heartbeat = this.#clock.setTimer(heartbeatMs / 2, () => {
      const silent = this.#hasReceived ? 0 : silentHalves + 1;
      if (silent >= 4) {
        this.end(new ConnectionLost(`no sign of life for ${Math.round(heartbeatMs / 500)} s`));
        return;
      }
      // What still waits to be sent is a sign of life as well, once there is room.
      if (!this.#hasSent && this.#socket.writableLength === 0) this.#socket.write(heartbeatFrame);
      this.#hasSent = false;
      this.#hasReceived = false;
      this.#beat(heartbeatMs, silent);
    });
  }
}

function returnReason(fields: WireReader, redact: (text: string) => string): string {
  const code = fields.uint16();
  return `${code} ${redact(fields.shortText())}`;
}

function fieldsOf({ id, fields }: { readonly id: number; readonly fields: WireReader }, expected: number): WireReader {
  if (id !== expected) throw new Malformed(`method ${nameOf(expected)} was expected, ${nameOf(id)} came`);
  return fields;
}

function nameOf(id: number): string {
  return `${id >>> 16}.${id & 0xffff}`;
}
