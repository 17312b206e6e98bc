// What a test knows of a buffer from outside, over all lives of its disk: what was offered, what was promised, and what
// came back. Every delivery is judged here against what the promises of design and documentation allow.
import type { DeliveredRecord, Durability, LossReason } from '../src/index.ts';

/** Nothing that a delivery, a loss or a missing record may ever do. */
export class Broken extends Error {
  override readonly name = 'Broken';
}

export type Offer = {
  readonly serial: number;
  readonly events: number;
  readonly byteLength: number;
  /**
   * `offered`: may be there or not, because nobody was told, or because what was promised allows its loss. `accepted`:
   * must be delivered to every cursor. `refused`: was said not to be stored, must never show up.
   */
  state: 'offered' | 'accepted' | 'refused';
  recordId: number | undefined;
  acceptedAtMs: number;
  /** A `commit` that began after its append has resolved: no crash may take it. */
  committed: boolean;
};

const markBytes = 8;

/** A payload that names its record and differs from every other one in every word. */
export function payloadOf(serial: number, byteLength: number): Uint8Array {
  const pattern = Math.imul(serial, 0x9e3779b1) | 1;
  const bytes = Buffer.alloc(
    Math.max(markBytes, byteLength),
    Uint8Array.of(pattern, pattern >> 8, pattern >> 16, serial),
  );
  bytes.writeUInt32LE(serial, 0);
  bytes.writeUInt32LE(bytes.length, 4);
  return bytes;
}

/** One cursor during one life of the buffer. */
export type Watch = {
  readonly name: string;
  /** Where the next record that was never handed out must begin. */
  expectedId: number;
  lastSerial: number;
  /** Records handed out in this life and not settled; `true` once they were asked for again. */
  readonly out: Map<number, boolean>;
  /** Events counted as lost in a gap that no later record has shown yet: a gap is counted when it is come upon. */
  gapEvents: number;
};

export class Journal {
  readonly #offers = new Map<number, Offer>();
  readonly #serialOfKey = new Map<string, number>();
  readonly #keyOfSerial = new Map<number, string>();
  readonly #settled = new Map<string, Set<number>>();
  /**
   * Whether the disk fails reads for longer than a cursor tries: then it counts what it cannot get as damaged, or as
   * unconfirmed where recovery could not read it either, and goes on behind it.
   */
  excusesDamage = false;
  /** Whether the policy lets the buffer drop its oldest segment. */
  excusesDrops = false;
  #nextSerial = 1;

  offer(byteLength: number, events: number): { readonly offer: Offer; readonly payload: Uint8Array } {
    const serial = this.#nextSerial++;
    const payload = payloadOf(serial, byteLength);
    const offer: Offer = {
      serial,
      events,
      byteLength: payload.length,
      state: 'offered',
      recordId: undefined,
      acceptedAtMs: 0,
      committed: false,
    };
    this.#offers.set(serial, offer);
    return { offer, payload };
  }

  accept(offer: Offer, recordId: number | undefined, atMs: number): void {
    offer.state = 'accepted';
    offer.recordId = recordId;
    offer.acceptedAtMs = atMs;
  }

  /** Everything accepted so far; what a `commit` that begins now covers. */
  accepted(): readonly Offer[] {
    return [...this.#offers.values()].filter((offer) => offer.state === 'accepted');
  }

  /** Payload bytes of what is accepted and not durable, where durability goes up to this id. */
  acceptedBytesFrom(durableId: number): number {
    let bytes = 0;
    for (const { state, recordId, byteLength } of this.#offers.values()) {
      if (state === 'accepted' && recordId !== undefined && recordId >= durableId) bytes += byteLength;
    }
    return bytes;
  }

  /**
   * The process or the machine went down at `atMs`: promises that do not hold across it are given up. The rule for
   * `interval`: what was accepted `exposedMs` ago or earlier is durable, `exposedMs` being the sync interval and two
   * syncs (one that had begun just before the record was written, and the one that takes it along).
   *
   * A record that was handed out before it was durable, which `sync` never does, may survive in a segment whose header
   * did not: it is then delivered under a key of its own, once more.
   */
  crashed(kind: 'kill' | 'power', durability: Durability, atMs: number, exposedMs: number): void {
    if (durability === 'sync' || (kind === 'kill' && durability !== 'memory')) return;
    for (const offer of this.#offers.values()) {
      const isOld = durability === 'interval' && offer.acceptedAtMs <= atMs - exposedMs;
      // What has survived one power cut survives every other.
      if (offer.state === 'accepted') offer.committed ||= isOld;
      if (offer.committed) continue;
      if (offer.state === 'accepted') offer.state = 'offered';
      this.#keyOfSerial.delete(offer.serial);
    }
  }

  watch(name: string, nextId: number): Watch {
    return { name, expectedId: nextId, lastSerial: 0, out: new Map(), gapEvents: 0 };
  }

  /** Judges one delivered record. */
  delivered(watch: Watch, record: DeliveredRecord): void {
    const offer = this.#offerOf(record);
    const { serial } = offer;
    const say = (found: string): never => {
      throw new Broken(`cursor ${watch.name} was handed record ${record.id} (serial ${serial}): ${found}`);
    };
    if (offer.state === 'refused') say('its append was said not to be stored');
    if (offer.recordId !== undefined && offer.recordId !== record.id) say(`it was accepted as ${offer.recordId}`);
    if (record.events !== offer.events || record.metadata !== serial) say('with other events or metadata');
    if (Buffer.compare(record.payload, payloadOf(serial, offer.byteLength)) !== 0) say('with another payload');
    const known = this.#serialOfKey.get(record.key) ?? serial;
    if (known !== serial) say(`its key ${record.key} named serial ${known} before`);
    const key = this.#keyOfSerial.get(serial) ?? record.key;
    if (key !== record.key) say(`its key is ${record.key} and was ${key}`);
    this.#serialOfKey.set(record.key, serial);
    this.#keyOfSerial.set(serial, key);
    if (watch.out.has(record.id)) {
      if (watch.out.get(record.id) !== true) say('it is handed out already and nobody asked for it again');
      watch.out.set(record.id, false);
      return;
    }
    const missing = record.id - watch.expectedId;
    if (missing < 0 && !this.excusesDrops) say(`expected ${watch.expectedId} next`);
    if (missing > watch.gapEvents)
      say(`${missing} events are missing before it, ${watch.gapEvents} are counted as lost`);
    watch.gapEvents -= Math.max(0, missing);
    if (serial <= watch.lastSerial) say(`serial ${watch.lastSerial} came before it`);
    watch.lastSerial = serial;
    watch.expectedId = Math.max(watch.expectedId, record.id + record.events);
    watch.out.set(record.id, false);
  }

  /** The buffer counted the events [from, to) as lost for a cursor. */
  lost(watch: Watch, reason: LossReason, from: number, to: number): void {
    const isDamage = this.excusesDamage && (reason === 'damaged' || reason === 'unconfirmed');
    // These disks lose only what was not synced: that is nobody's damage.
    if (reason !== 'unconfirmed' && !isDamage)
      throw new Broken(`cursor ${watch.name} lost ${from} to ${to}: ${reason}`);
    watch.gapEvents += to - from;
    for (const { recordId, serial } of isDamage ? this.#offers.values() : []) {
      if (recordId !== undefined && recordId >= from && recordId < to) this.#settledOf(watch).add(serial);
    }
  }

  /** The buffer dropped everything below `endId` that a cursor had not settled. */
  dropped(watch: Watch, endId: number): void {
    if (!this.excusesDrops) throw new Broken(`cursor ${watch.name} lost what lies below ${endId} to a drop`);
    if (endId > watch.expectedId) watch.gapEvents = 0;
    watch.expectedId = Math.max(watch.expectedId, endId);
    for (const { recordId, serial } of this.#offers.values()) {
      if (recordId !== undefined && recordId < endId) this.#settledOf(watch).add(serial);
    }
  }

  retried(watch: Watch, record: DeliveredRecord): void {
    watch.out.set(record.id, true);
  }

  /** A record is settled for good. */
  settled(watch: Watch, record: DeliveredRecord): void {
    watch.out.delete(record.id);
    this.#settledOf(watch).add(this.#offerOf(record).serial);
  }

  /** Nothing accepted is missing at any of these cursors. */
  expectAllSettled(cursors: readonly string[]): void {
    for (const { state, serial, recordId } of this.#offers.values()) {
      if (state !== 'accepted') continue;
      for (const name of cursors) {
        if (this.#settled.get(name)?.has(serial)) continue;
        throw new Broken(`serial ${serial} was accepted as record ${recordId} and never reached cursor ${name}`);
      }
    }
  }

  clone(): Journal {
    const copy = new Journal();
    for (const [serial, offer] of this.#offers) copy.#offers.set(serial, { ...offer });
    for (const [key, serial] of this.#serialOfKey) copy.#serialOfKey.set(key, serial);
    for (const [serial, key] of this.#keyOfSerial) copy.#keyOfSerial.set(serial, key);
    for (const [name, settled] of this.#settled) copy.#settled.set(name, new Set(settled));
    copy.#nextSerial = this.#nextSerial;
    copy.excusesDrops = this.excusesDrops;
    return copy;
  }

  #settledOf({ name }: Watch): Set<number> {
    const settled = this.#settled.get(name) ?? new Set();
    this.#settled.set(name, settled);
    return settled;
  }

  #offerOf(record: DeliveredRecord): Offer {
    const { payload } = record;
    const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.length);
    const offer = payload.length < markBytes ? undefined : this.#offers.get(bytes.readUInt32LE(0));
    if (offer === undefined) throw new Broken(`record ${record.id} was delivered and never appended`);
    return offer;
  }
}
