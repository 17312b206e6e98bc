// One pass over a batch: every event that is not in its stream yet is sent, in order, until all are answered or
// something is in the way.
//
// Whatever is in the way, nothing of this pass is left on its way to the server when it ends well or with an answer: a
// pass that follows on the same connection meets no stragglers. A pass that is given up gives up its connection.
import {
  comparePlaces,
  type EventPlace,
  keyedEvents,
  originOf,
  placeOf,
  type SinkAnswer,
  type SinkBatch,
  type SinkRecord,
} from 'spillway/plugin';
import { Flight } from './flight.ts';
import type { Asker } from './jet-stream.ts';
import { type Addressed, type MessageOptions, messageOf, subjectOf } from './message.ts';
import type { Break, ChainedMessage } from './stream-chain.ts';

/** Something that takes messages one behind the other. */
export interface Writer {
  readonly break: Break | undefined;
  /** Events at or before it are repeats. */
  readonly newest?: EventPlace | undefined;
  readonly facts?: { readonly messageBytesMax: number } | undefined;
  /** Of headers and payload, as it would be sent now. */
  bytesOf(message: ChainedMessage): number;
  send(message: ChainedMessage, onAnswered: () => void): void;
}

export interface Route {
  /** Gives the writer for a subject, ready to send. Rejects where there is none. */
  writerFor(subject: string): Promise<Writer>;
}

export type Outcome =
  | { readonly kind: 'answer'; readonly answer: SinkAnswer }
  /** A stream ended elsewhere than it was thought to. */
  | { readonly kind: 'moved' };

type Obstacle = Extract<SinkAnswer, { readonly kind: 'too_large' | 'rejected' }>;

export class Delivery {
  readonly #asker: Asker;
  readonly #options: MessageOptions;
  readonly #route: Route;
  readonly #flight = new Flight();
  readonly #writers = new Set<Writer>();
  /** Events that were in their stream already. */
  repeats: number = 0;

  constructor(asker: Asker, options: MessageOptions, route: Route) {
    this.#asker = asker;
    this.#options = options;
    this.#route = route;
  }

  /** Rejects with the error of the server or the connection that was in the way. */
  async run(batch: SinkBatch): Promise<Outcome> {
    let thrown: unknown;
    const obstacle = await this.#send(batch).catch((error: unknown) => {
      thrown = error;
      return undefined;
    });
    await this.#wait(() => this.#flight.isEmpty);
    if (thrown !== undefined) throw thrown;
    const breaks = [...this.#writers].flatMap((writer) => writer.break ?? []);
    const failed = breaks.find((found) => found.kind === 'failed');
    if (failed !== undefined) throw failed.error;
    if (breaks.length > 0) return { kind: 'moved' };
    return { kind: 'answer', answer: obstacle ?? { kind: 'delivered' } };
  }

  async #send(batch: SinkBatch): Promise<Obstacle | undefined> {
    for (const record of batch.records) {
      if (await this.#isRepeated(record)) {
        this.repeats += record.events;
        continue;
      }
      const { epoch } = originOf(record);
      for (const event of keyedEvents(record)) {
        const subject = subjectOf(event, this.#options);
        if (subject === undefined) return undecodable;
        const place = { epoch, event: event.id };
        const obstacle = await this.#sendOne({ event, signal: record.signal, place, subject });
        if (obstacle !== undefined) return obstacle;
        if (this.#isBroken()) return undefined;
      }
    }
    return undefined;
  }

  /** Known without taking the record apart, where all its events have one subject. */
  async #isRepeated(record: SinkRecord): Promise<boolean> {
    const { subject } = this.#options;
    if (subject.needsFields) return false;
    const writer = await this.#writerFor(subject.render({ signal: record.signal }));
    return hasTaken(writer, placeOf(record, record.events - 1));
  }

  async #sendOne(addressed: Addressed): Promise<Obstacle | undefined> {
    const writer = await this.#writerFor(addressed.subject);
    if (hasTaken(writer, addressed.place)) {
      this.repeats += 1;
      return undefined;
    }
    const message = messageOf(addressed, this.#options);
    if (message === undefined) return undecodable;
    const bytesMax = Math.min(this.#asker.connection.info.maxPayload, writer.facts?.messageBytesMax ?? unlimited);
    if (message.payload.length + headerBytesMax > bytesMax) {
      const bytes = writer.bytesOf(message);
      const reason = `a message has ${bytes} bytes with its headers; server and stream take ${bytesMax}`;
      if (bytes > bytesMax) return { kind: 'too_large', reason };
    }
    if (!this.#flight.hasRoom) await this.#wait(() => this.#flight.hasRoom);
    if (!this.#isBroken()) writer.send(message, this.#flight.begin(message.payload.length + headerBytesMax));
    return undefined;
  }

  async #writerFor(subject: string): Promise<Writer> {
    const writer = await this.#route.writerFor(subject);
    this.#writers.add(writer);
    return writer;
  }

  async #wait(isSo: () => boolean): Promise<void> {
    await this.#asker.deadline.within(this.#flight.until(isSo), 'waiting for acknowledgements');
  }

  #isBroken(): boolean {
    for (const writer of this.#writers) if (writer.break !== undefined) return true;
    return false;
  }
}

function hasTaken({ newest }: Writer, place: EventPlace): boolean {
  return newest !== undefined && comparePlaces(place, newest) <= 0;
}

/** More than the headers of a message can have: only messages this close to a limit are measured. */
const headerBytesMax = 2_048;
const unlimited = Number.POSITIVE_INFINITY;

const undecodable: Obstacle = { kind: 'rejected', reason: 'an event cannot be decoded' };
