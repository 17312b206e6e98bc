// Publishes batches on one connection, and knows of each message what became of it.
//
// A batch is sent without waiting in between, then every confirmation is awaited. A message that had nowhere to go is
// returned first and then confirmed like any other: the return, which names the message by its id, decides.
//
// A batch that was not answered completely comes again while the connection lives on, when the server blocks publishers
// or a queue is full. Then only what is not on the server yet is sent; what is still under way is only waited for. So
// waiting repeats nothing, and nothing is written to a server that does not read. Only a lost connection leaves behind
// messages of which nobody knows; what was confirmed on it is known to the next one.
import type { AmqpConnection, ConnectionEvents } from './amqp/connection.ts';
import { type Publication, publicationFrames } from './amqp/method.ts';
import { Malformed } from './amqp/wire.ts';

/** What became of a message, so far. */
interface Sent {
  readonly key: string;
  state: 'under way' | 'confirmed' | 'refused';
  /** The reason, if it was returned. */
  returned: string | undefined;
}

export type Published =
  /** Every message is on the server. */
  | { readonly kind: 'confirmed' }
  /** So many are not, the others are. */
  | { readonly kind: 'returned' | 'refused'; readonly count: number; readonly reason: string }
  /** The server blocks publishers, or the signal was aborted, and something is missing. */
  | { readonly kind: 'unfinished' };

/** Sent between two looks at whether the socket has room. */
const sendBytesAtOnce = 256 * 1024;

export class Publisher implements ConnectionEvents {
  /** By the number that the server counts; ascending, because they are added so. */
  readonly #underWay = new Map<number, Sent>();
  /** Those of the last batch, by key. */
  #batch = new Map<string, Sent>();
  #batchUnderWay = 0;
  #nextTag = 1;
  #confirmations = 0;
  #wakeUp: () => void = () => undefined;

  /** For another connection: knows what of the last batch is on the server, and nothing of what was under way. */
  successor(): Publisher {
    const next = new Publisher();
    for (const [key, sent] of this.#batch) {
      if (sent.state === 'confirmed' && !isMissing(sent)) next.#batch.set(key, sent);
    }
    return next;
  }

  /** How many messages were confirmed or refused: whether the server does something. */
  get confirmations(): number {
    return this.#confirmations;
  }

  /**
   * Resolves when the fate of every message is known, or when the server blocks or the signal is aborted; it can be
   * called again with the same messages then. Rejects when the connection has ended.
   */
  async publish(connection: AmqpConnection, messages: readonly Publication[], signal: AbortSignal): Promise<Published> {
    this.#forgetAllBut(messages);
    const missing = messages.filter(({ properties }) => !this.#batch.has(properties.messageId));
    await this.#send(connection, missing, signal);
    const isBlocked = (): boolean => connection.blockedReason !== undefined;
    await this.#until(connection, signal, () => this.#batchUnderWay === 0 || isBlocked());
    return this.#published(messages.length);
  }

  /** Resolves when publishers are not blocked or the signal is aborted. Rejects when the connection has ended. */
  async unblocked(connection: AmqpConnection, signal: AbortSignal): Promise<void> {
    await this.#until(connection, signal, () => connection.blockedReason === undefined);
  }

  returned(messageId: string, reason: string): void {
    const sent = this.#batch.get(messageId);
    if (sent !== undefined) sent.returned = reason;
  }

  confirmed(tag: number, isMultiple: boolean, isAck: boolean): void {
    if (tag >= this.#nextTag) throw new Malformed(`message ${tag} was confirmed, and never sent`);
    for (const [found, sent] of isMultiple ? this.#upTo(tag) : this.#only(tag)) {
      this.#underWay.delete(found);
      sent.state = isAck ? 'confirmed' : 'refused';
      this.#confirmations += 1;
      if (this.#batch.get(sent.key) === sent) this.#batchUnderWay -= 1;
    }
    if (this.#batchUnderWay === 0) this.#wakeUp();
  }

  changed(): void {
    this.#wakeUp();
  }

  *#upTo(tag: number): Generator<[number, Sent]> {
    for (const entry of this.#underWay) {
      if (tag !== 0 && entry[0] > tag) return; // 0: all.
      yield entry;
    }
  }

  #only(tag: number): readonly [number, Sent][] {
    const sent = this.#underWay.get(tag);
    return sent === undefined ? [] : [[tag, sent]];
  }

  /** Keeps what was sent of these messages and is on the server, or may get there. */
  #forgetAllBut(messages: readonly Publication[]): void {
    const batch = new Map<string, Sent>();
    this.#batchUnderWay = 0;
    for (const { properties } of messages) {
      const sent = this.#batch.get(properties.messageId);
      if (sent === undefined || isMissing(sent)) continue;
      batch.set(sent.key, sent);
      if (sent.state === 'under way') this.#batchUnderWay += 1;
    }
    this.#batch = batch;
  }

  async #send(connection: AmqpConnection, messages: readonly Publication[], signal: AbortSignal): Promise<void> {
    for (let at = 0; at < messages.length; ) {
      const isBlocked = (): boolean => connection.blockedReason !== undefined;
      await this.#until(connection, signal, () => !connection.isFull || isBlocked());
      if (signal.aborted || isBlocked()) return;
      at = this.#sendSome(connection, messages, at);
    }
  }

  /** Whole messages from this one on, and gives where to go on. */
  #sendSome(connection: AmqpConnection, messages: readonly Publication[], from: number): number {
    let at = from;
    connection.cork();
    for (let bytes = 0; at < messages.length && bytes < sendBytesAtOnce; at += 1) {
      const message = messages[at] as Publication;
      connection.send(publicationFrames(message, connection.frameBytesMax));
      const sent: Sent = { key: message.properties.messageId, state: 'under way', returned: undefined };
      this.#underWay.set(this.#nextTag, sent);
      this.#batch.set(sent.key, sent);
      this.#batchUnderWay += 1;
      this.#nextTag += 1;
      bytes += message.body.length;
    }
    connection.uncork();
    return at;
  }

  #published(of: number): Published {
    const batch = [...this.#batch.values()];
    const returned = batch.filter((sent) => sent.state === 'confirmed' && sent.returned !== undefined);
    // What has no route needs somebody, whatever else there is.
    const [first] = returned;
    if (first !== undefined) return { kind: 'returned', count: returned.length, reason: first.returned as string };
    if (this.#batchUnderWay > 0 || batch.length < of) return { kind: 'unfinished' };
    const refused = batch.filter(({ state }) => state === 'refused').length;
    if (refused > 0) return { kind: 'refused', count: refused, reason: 'basic.nack' };
    this.#batch.clear(); // What is delivered and comes again all the same is sent again.
    return { kind: 'confirmed' };
  }

  /** Waits until it is so or the signal is aborted. */
  async #until(connection: AmqpConnection, signal: AbortSignal, isSo: () => boolean): Promise<void> {
    while (!isSo() && !signal.aborted) {
      if (connection.ended !== undefined) throw connection.ended;
      await new Promise<void>((resolve) => {
        const wakeUp = (): void => {
          signal.removeEventListener('abort', wakeUp);
          dropDrain();
          resolve();
        };
        const dropDrain = connection.onDrain(wakeUp);
        signal.addEventListener('abort', wakeUp);
        this.#wakeUp = wakeUp;
      });
    }
  }
}

/** It was sent, and is not on the server. */
function isMissing({ state, returned }: Sent): boolean {
  return state === 'refused' || (state === 'confirmed' && returned !== undefined);
}
