// The nouns of the buffer model: records, cursors, what became of events, and payloads that follow from a serial.

/** What became of an event at a cursor. */
export type Fate = 'acknowledged' | 'rejected' | 'dropped_oldest' | 'unconfirmed' | 'damaged';

export type FateCounts = Record<Fate, { events: number; bytes: number }>;

/** A record somebody asked to have stored. The serial travels with it as its metadata. */
export type ModelOffer = { readonly serial: number; readonly events: number; readonly payloadBytes: number };

export type ModelRecord = ModelOffer & {
  readonly id: number;
  readonly epoch: number;
  written: boolean;
  durable: boolean;
  /** Nothing has happened that it may have been lost in. */
  certain: boolean;
  /** The life in which doubt began: when it is seen in a later one, there is none any more. */
  doubtedIn: number;
  /** The header of its segment may be lost, so that its epoch may be told wrong. */
  rekeyed: boolean;
};

/** How the events from some id up to `to` ended. */
export type Entry = { readonly to: number; readonly fate: Fate; readonly bytes: number };

/** The answers of a buffer contradict each other, or a promise. */
export class ModelViolation extends Error {
  override readonly name = 'ModelViolation';
}

export class ModelCursor {
  readonly name: string;
  /** Everything below is settled. */
  nextId: number;
  /** The id behind the last record that was handed out for the first time. */
  unreadId: number;
  /** What became of what lies behind `nextId`, by first id. */
  readonly settled: Map<number, Entry> = new Map();
  /** Ranges that this cursor was told are missing, or that were taken from it unread. */
  readonly missing: Map<number, number> = new Map();
  /** Records in somebody's hands, by id. */
  readonly held: Map<number, ModelRecord> = new Map();
  /** Records that shall come again, with the time from which on they may. */
  readonly retrying: Map<number, number> = new Map();
  readonly counts: FateCounts = noCounts();

  constructor(name: string, nextId: number) {
    this.name = name;
    this.nextId = nextId;
    this.unreadId = nextId;
  }
}

export function noCounts(): FateCounts {
  const zero = (): { events: number; bytes: number } => ({ events: 0, bytes: 0 });
  return { acknowledged: zero(), rejected: zero(), dropped_oldest: zero(), unconfirmed: zero(), damaged: zero() };
}

/** Throws a {@link ModelViolation} unless `condition` holds. */
export function check(condition: unknown, message: string): asserts condition {
  if (!condition) throw new ModelViolation(message);
}

/** Adds to a count. */
export function count(into: { events: number; bytes: number }, events: number, bytes: number): void {
  into.events += events;
  into.bytes += bytes;
}

/** Every payload follows from the serial of its record, so that nobody has to remember it. */
export function payloadOf(serial: number, byteLength: number): Uint8Array {
  const payload = new Uint8Array(byteLength);
  for (let at = 0; at < byteLength; at++) payload[at] = byteOf(serial, at);
  return payload;
}

/** Whether these are all bytes of that record. */
export function isPayloadOf(serial: number, payload: Uint8Array): boolean {
  for (let at = 0; at < payload.length; at++) if (payload[at] !== byteOf(serial, at)) return false;
  return true;
}

function byteOf(serial: number, at: number): number {
  return (Math.imul(serial + (at >>> 5), 0x9e3779b1) >>> (at & 15)) & 0xff;
}
