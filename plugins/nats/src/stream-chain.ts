// A stream into which one cursor of one buffer writes every event once, in order.
//
// Each message says which one must be the last in the stream when it is taken, by its number and by its id
// (Nats-Expected-Last-Sequence, Nats-Expected-Last-Msg-Id). So messages can be sent one after the other without
// waiting: when one is lost or refused, all behind it are refused, too, and none slips in without its predecessor.
// Below the last message there is no hole, and an event at or before the one that the last message holds is a repeat
// and left out, however long ago that was.
//
// Neither would do alone. The number is also reached by a message of somebody else that comes in between: ours would be
// refused and the one behind it taken. The id is kept in memory by servers; those before 2.15 know it again after a
// restart only if the message is younger than the window for duplicates, and after a longer outage refuse everything
// that names it (seen with 2.9.25, 2.10.27 and 2.12.1). So the first message after the end of the stream was read names
// only the number, which is on the disk and outlives the message; all others name both.
//
// What can go wrong
// - The connection is lost: what became of the last messages is not known. On the next connection the end of the stream
//   is read first: its number, then its last message. In this order, because a message that still arrives in between
//   then makes ours be refused; the other way round it would be written twice.
// - Retention or a purge has removed the last messages: the last one that is there counts. What was behind it may be
//   written again; within the window the server knows it by its id.
// - Somebody else writes into the stream, or another buffer or cursor does: what is at or before the last message says
//   nothing any more, so this is an error.
// - "duplicate" is not believed by itself. A server in a cluster notes an id when it hears it, before the message is
//   accepted: 2.10 then says "duplicate, sequence 0" about messages that it has refused, later ones "in process". It
//   counts only if it names a place at or below the end that we have read. Else ids get a suffix until the window has
//   passed.
import { ConfigError, comparePlaces, type EventPlace, type KeyOwner, type Log, parseKey } from 'spillway/plugin';
import type { NatsConnection } from './connection.ts';
import {
  type Asker,
  factsOf,
  isMoved,
  isUndecidedDuplicate,
  lastMessageOf,
  noSuchStream,
  readAcknowledgement,
  StreamError,
  type StreamFacts,
} from './jet-stream.ts';
import { takesSubject } from './subject.ts';
import { type Publication, publishedBytes, type WireAnswer } from './wire.ts';

export interface ChainedMessage {
  readonly place: EventPlace;
  readonly key: string;
  readonly subject: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly payload: Uint8Array;
}

/** Why a chain ends before the batch does. */
export type Break =
  /** The stream ends elsewhere than we thought: read its end, and go on from there. */
  { readonly kind: 'moved' } | { readonly kind: 'failed'; readonly error: Error };

export interface ChainContext {
  readonly owner: KeyOwner;
  readonly monotonic: () => number;
  readonly log: Log;
}

interface Link {
  readonly place: EventPlace;
  readonly subject: string;
  /** The number of the message before it. */
  readonly after: number;
  answer: WireAnswer | Error | undefined;
}

interface End {
  readonly connection: NatsConnection;
  readonly facts: StreamFacts;
  /** The number that the stream's last message had when it was read. */
  readonly readSequence: number;
  /** The highest number that was acknowledged, or read. */
  acknowledgedSequence: number;
  /** Number and id that the next message names as those of the one before it; the id only if we have just sent it. */
  sequence: number;
  id: string | undefined;
  newest: EventPlace | undefined;
}

const shownSubjectsMax = 10;
const cursorHeader = 'Spillway-Cursor';
const idHeader = 'Nats-Msg-Id';
/** Behind the key, in an id that could not be the key alone. */
const idSuffix = /~\d+$/;

export class StreamChain {
  readonly stream: string;
  readonly #owner: KeyOwner;
  readonly #monotonic: () => number;
  readonly #log: Log;
  /** The highest number that was acknowledged, on whatever connection. No stream that was kept ends before it. */
  #confirmedSequence = 0;
  #end: End | undefined;
  #links: Link[] = [];
  #break: Break | undefined;
  /** How often the server knew ids without their messages, and until when it may know those of the last time. */
  #disownedIds: { readonly times: number; readonly untilMs: number } = { times: 0, untilMs: 0 };

  constructor(stream: string, { owner, monotonic, log }: ChainContext) {
    this.stream = stream;
    this.#owner = owner;
    this.#monotonic = monotonic;
    this.#log = log;
  }

  /** Why nothing more can be sent before {@link prepare}. */
  get break(): Break | undefined {
    return this.#break;
  }

  /** The event up to which everything is in the stream. */
  get newest(): EventPlace | undefined {
    return this.#end?.newest;
  }

  get facts(): StreamFacts | undefined {
    return this.#end?.facts;
  }

  /**
   * Reads where the stream ends, unless that is known. Gives false if there is no such stream. Rejects with a
   * ConfigError if it is not this owner's.
   */
  async prepare(asker: Asker): Promise<boolean> {
    this.#links = [];
    const before = this.#end?.connection === asker.connection ? this.#end : undefined;
    if (before !== undefined && this.#break === undefined) return true;
    this.#break = undefined;
    this.#end = undefined;
    const facts = await factsOf(asker, this.stream);
    if (facts === undefined) return false;
    const last = facts.messages === 0 ? undefined : await lastMessageOf(asker, this.stream);
    const read = last === undefined ? undefined : this.#placeOf(last.headers);
    const { lastSequence: sequence } = facts;
    this.#tellLoss(sequence);
    this.#end = {
      ...{ connection: asker.connection, facts, readSequence: sequence, acknowledgedSequence: sequence },
      ...{ sequence, id: undefined, newest: newestOf(read, before, sequence) },
    };
    return true;
  }

  /** Of headers and payload, as it would be sent now. */
  bytesOf(message: ChainedMessage): number {
    return publishedBytes(this.#publication(message, this.#known()));
  }

  /** Sends a message behind the one before. `onAnswered` is called once, whatever the answer. */
  send(message: ChainedMessage, onAnswered: () => void): void {
    const end = this.#known();
    const publication = this.#publication(message, end);
    const { place, subject } = message;
    const link: Link = { place, subject, after: end.sequence, answer: undefined };
    this.#links.push(link);
    end.sequence += 1;
    end.id = this.#idOf(message);
    end.connection.publish(publication, (answer) => {
      link.answer = answer;
      if (this.#end === end) this.#settle(end);
      onAnswered();
    });
  }

  /** The stream was deleted, or its server forgot: what it had confirmed has left our disk. */
  #tellLoss(found: number): void {
    const confirmed = this.#confirmedSequence;
    if (found >= confirmed) return;
    this.#log.warn('the stream has lost messages that the server had confirmed', {
      ...{ stream: this.stream, confirmed, found },
    });
    this.#confirmedSequence = found;
  }

  #publication(message: ChainedMessage, { sequence, id }: End): Publication {
    const { subject, headers, payload } = message;
    const chained: Publication['headers'] = [
      [idHeader, this.#idOf(message)],
      [cursorHeader, this.#owner.cursor],
      ['Nats-Expected-Stream', this.stream],
      ['Nats-Expected-Last-Sequence', String(sequence)],
      ...(id === undefined ? [] : [['Nats-Expected-Last-Msg-Id', id] as const]),
      ...headers,
    ];
    return { subject, headers: chained, payload };
  }

  #idOf({ key }: ChainedMessage): string {
    const { times, untilMs } = this.#disownedIds;
    return times > 0 && this.#monotonic() < untilMs ? `${key}~${times}` : key;
  }

  #known(): End {
    if (this.#end === undefined) throw new Error(`stream ${this.stream} is written to before its end was read`);
    return this.#end;
  }

  /** Takes answers in the order of the messages, whatever the order in which they come, up to the first that is bad. */
  #settle(end: End): void {
    while (this.#break === undefined) {
      const link = this.#links[0];
      if (link?.answer === undefined) return;
      this.#links.shift();
      this.#break = this.#judge(link, link.answer, end);
      if (this.#break === undefined) end.newest = link.place;
    }
  }

  #judge({ after, subject }: Link, answer: WireAnswer | Error, end: End): Break | undefined {
    if (answer instanceof Error) return { kind: 'failed', error: answer };
    const { readSequence, facts } = end;
    if (answer.status === 503 && !facts.subjects.some((pattern) => takesSubject(pattern, subject))) {
      return { kind: 'failed', error: notTaken(facts, subject) };
    }
    try {
      const { sequence, isDuplicate, stream } = readAcknowledgement(answer);
      if (stream === this.stream && !isDuplicate && sequence === after + 1) {
        end.acknowledgedSequence = sequence;
        this.#confirmedSequence = sequence;
        return undefined;
      }
      // It was stored before the end was read, and removed since. Those behind it are refused, for it takes no number.
      if (stream === this.stream && isDuplicate && sequence > 0 && sequence <= readSequence) return undefined;
      if (isDuplicate && sequence === 0) this.#disownIds(facts);
      return { kind: 'moved' };
    } catch (error) {
      if (!(error instanceof StreamError)) throw error;
      if (isUndecidedDuplicate(error)) this.#disownIds(facts);
      return isMoved(error) ? { kind: 'moved' } : { kind: 'failed', error: error.about(`stream ${this.stream}`) };
    }
  }

  #disownIds({ duplicateWindowMs }: StreamFacts): void {
    this.#disownedIds = { times: this.#disownedIds.times + 1, untilMs: this.#monotonic() + duplicateWindowMs };
  }

  #placeOf(headers: ReadonlyMap<string, string>): EventPlace {
    const key = parseKey((headers.get(idHeader) ?? '').replace(idSuffix, ''));
    const cursor = headers.get(cursorHeader);
    if (key === undefined || cursor === undefined) throw this.#notOurs('was not written by a sink like this one');
    if (key.uuid === this.#owner.buffer && cursor === this.#owner.cursor) return key;
    throw this.#notOurs(`belongs to cursor ${shown(cursor)} of buffer ${shown(key.uuid)}`);
  }

  #notOurs(found: string): ConfigError {
    return new ConfigError({
      code: 'SPILLWAY_CONFIG_OWNER',
      message:
        `claiming stream ${this.stream} for cursor ${this.#owner.cursor} of buffer ${this.#owner.buffer}: its last ` +
        `message ${found}, so it does not tell what was delivered. Nothing more is written. Choose a stream of its ` +
        'own for this sink, or set deduplicate: window if several are to write into it; if the other writer is gone ' +
        'for good, purge or delete the stream',
    });
  }
}

/** Nobody answers for the subject, and that is no wonder: no leader that comes will. */
function notTaken({ name, subjects }: StreamFacts, subject: string): StreamError {
  const taken = subjects.slice(0, shownSubjectsMax).join(', ') || 'no subject';
  const message = `stream ${name} takes ${taken}, and not the subject ${subject}: give the stream this subject, too`;
  return new StreamError(message, 404, noSuchStream);
}

/**
 * The last event that is known to be in the stream: by its last message, or by an acknowledgement on this connection,
 * for that message may be removed again. If the stream ends before what it has acknowledged, it has lost messages, and
 * only those that are there count.
 */
function newestOf(read: EventPlace | undefined, before: End | undefined, sequence: number): EventPlace | undefined {
  if (before?.newest === undefined || sequence < before.acknowledgedSequence) return read;
  return read !== undefined && comparePlaces(before.newest, read) <= 0 ? read : before.newest;
}

/** What a stranger wrote, for a message. */
function shown(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}]/gu, '?').slice(0, 64);
}
