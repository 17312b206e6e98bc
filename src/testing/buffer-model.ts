// What a buffer must do, said as naively as possible: a list of records, and for each cursor the list of what became of
// them. No files, no frames, no time. Whoever drives a real buffer tells the model what was asked and what was
// answered; the model throws as soon as an answer is one that no correct buffer could give.
//
// What a crash may take is told by three facts about a record: whether it was announced to be written, whether it was
// announced to be durable, and whether its bytes were damaged from outside. A record is `certain` as long as nothing
// has happened that it may have been lost in.
import { assert } from '../base/assert.ts';
import {
  check,
  count,
  type Entry,
  type FateCounts,
  isPayloadOf,
  ModelCursor,
  type ModelOffer,
  type ModelRecord,
  noCounts,
} from './buffer-model-parts.ts';

export class BufferModel {
  /** Records in the order of their ids. */
  records: ModelRecord[] = [];
  readonly cursors: Map<string, ModelCursor> = new Map();
  /** Asked for, and it is not known whether and where they are: by serial. */
  readonly offers: Map<number, ModelOffer & { readonly epoch: number; readonly life: number }> = new Map();
  /** What became of events for the buffer as a whole, since `opened`. */
  totals: FateCounts = noCounts();
  /** Everything below is counted in `totals`. */
  countedId = 1;
  /** How many times the buffer was opened. */
  life = 0;
  /** Whether reads fail now and then: what three tries in a row cannot read counts as damaged. */
  readsFail = false;
  /** Whether the last opening may have met segments that it could not read. */
  readsDoubtful = false;
  /** Whether bytes can be foretold: not after losses whose extent only the buffer knows. */
  bytesKnown = true;
  /** What lies below may have been freed: only cursors that begin later can miss it. */
  #leftBelow = 0;
  /** Ranges of ids whose bytes were damaged; a record that is admitted only now may lie in one. */
  readonly #damage: { readonly from: number; readonly to: number }[] = [];
  /** Which record a key names, for ever. */
  readonly #keys: Map<string, number> = new Map();

  // Appending.

  offer(offer: ModelOffer, epoch: number): void {
    this.offers.set(offer.serial, { ...offer, epoch, life: this.life });
  }

  /** It was refused for certain, and no part of it is anywhere. */
  withdraw(serial: number): void {
    this.offers.delete(serial);
  }

  /** It is in the log, with this id. */
  admit(serial: number, id: number): ModelRecord {
    const offer = this.offers.get(serial);
    const known = this.at(id);
    if (offer === undefined) {
      check(known?.serial === serial, `record ${serial} got the id ${id}, which belongs to ${known?.serial}`);
      return known as ModelRecord;
    }
    this.offers.delete(serial);
    const rekeyed = offer.life < this.life; // Found again after a crash: its segment may have lost its header.
    const record = { ...offer, id, written: false, durable: false, certain: true, doubtedIn: 0, rekeyed };
    let at = this.records.length;
    while (at > 0 && (this.records[at - 1] as ModelRecord).id > id) at -= 1;
    const before = this.records[at - 1];
    const after = this.records[at];
    check(before === undefined || before.id + before.events <= id, `ids of ${before?.serial} and ${serial} overlap`);
    check(after === undefined || id + record.events <= after.id, `ids of ${serial} and ${after?.serial} overlap`);
    this.records.splice(at, 0, record);
    if (this.#damage.some(({ from, to }) => id >= from && id < to)) this.#doubt(record, Number.POSITIVE_INFINITY);
    return record;
  }

  at(id: number): ModelRecord | undefined {
    const at = this.#indexFrom(id);
    return this.records[at]?.id === id ? this.records[at] : undefined;
  }

  /** The buffer announces: everything below is written, and everything below that is durable. */
  announced(writtenId: number, durableId: number): void {
    for (let at = this.records.length - 1; at >= 0; at--) {
      const record = this.records[at] as ModelRecord;
      const endId = record.id + record.events;
      if (record.durable) return; // Frontiers only grow: all before it is durable too.
      if (endId <= writtenId) record.written = true;
      if (endId <= durableId) record.durable = true;
    }
  }

  // Reading.

  cursor(name: string): ModelCursor {
    const cursor = this.cursors.get(name);
    assert(cursor !== undefined, 'the model has every cursor that is used', { name });
    return cursor;
  }

  /** A record was handed out. Says which it must be, and checks that it is this one and that it is its turn. */
  handedOut(
    cursor: ModelCursor,
    found: { readonly id: number; readonly serial: number; readonly events: number; readonly payload: Uint8Array },
    nowMs: number,
  ): ModelRecord {
    if (this.offers.has(found.serial)) this.admit(found.serial, found.id);
    const record = this.at(found.id);
    check(record !== undefined, `record ${found.serial} with id ${found.id} was invented`);
    check(record.serial === found.serial, `id ${found.id} is record ${record.serial}, not ${found.serial}`);
    check(record.events === found.events, `record ${found.serial} has ${record.events} events, not ${found.events}`);
    const isWhole = found.payload.length === record.payloadBytes && isPayloadOf(record.serial, found.payload);
    check(isWhole, `the payload of record ${found.serial} is not what was appended`);
    if (record.id < cursor.unreadId) this.#again(cursor, record, nowMs);
    else this.#first(cursor, record, nowMs);
    record.certain ||= record.doubtedIn < this.life;
    cursor.held.set(record.id, record);
    return record;
  }

  #again(cursor: ModelCursor, record: ModelRecord, nowMs: number): void {
    const dueMs = cursor.retrying.get(record.id);
    check(dueMs !== undefined, `record ${record.serial} came again to ${cursor.name} without having been sent back`);
    check(dueMs <= nowMs, `record ${record.serial} came again to ${cursor.name} ${dueMs - nowMs} ms too early`);
    cursor.retrying.delete(record.id);
  }

  #first(cursor: ModelCursor, record: ModelRecord, nowMs: number): void {
    for (const [id, dueMs] of cursor.retrying) {
      check(dueMs >= nowMs, `record ${record.id} went to ${cursor.name} before ${id}, which had been due for a while`);
    }
    let at = cursor.unreadId;
    while (at < record.id) {
      const to = cursor.missing.get(at);
      check(to !== undefined, `${cursor.name} was not told what became of the ids from ${at} to ${record.id}`);
      cursor.missing.delete(at);
      at = to;
    }
    check(
      at === record.id,
      `${cursor.name} got record ${record.id} after it was told that ids up to ${at} are missing`,
    );
    cursor.unreadId = record.id + record.events;
  }

  /** A key was read off a record. */
  named(key: string, record: ModelRecord, uuid: string): void {
    const known = this.#keys.get(key);
    check(known === undefined || known === record.serial, `the key ${key} names ${known} and ${record.serial}`);
    this.#keys.set(key, record.serial);
    const expected = `${uuid}/${record.epoch}-${record.id}`;
    check(
      record.rekeyed || this.readsFail || key === expected,
      `the key of record ${record.serial} is ${key}, expected ${expected}`,
    );
  }

  /** The cursor was told that the events of this range are not there any more. */
  gap(cursor: ModelCursor, from: number, to: number, fate: 'damaged' | 'unconfirmed'): void {
    for (let at = this.#indexFrom(from); at < this.records.length; at++) {
      const record = this.records[at] as ModelRecord;
      if (record.id >= to) break;
      const mayBeMissing = !record.certain || record.id < this.#leftBelow || (this.readsFail && fate === 'damaged');
      check(mayBeMissing, `record ${record.serial} (id ${record.id}, durable ${record.durable}) was lost as ${fate}`);
    }
    cursor.missing.set(from, to);
    this.#settle(cursor, from, { to, fate, bytes: 0 });
  }

  // Coming back.

  settle(cursor: ModelCursor, id: number, fate: 'acknowledged' | 'rejected'): void {
    const record = cursor.held.get(id);
    if (record === undefined) return; // It was dropped while it was out.
    cursor.held.delete(id);
    this.#settle(cursor, id, { to: id + record.events, fate, bytes: record.payloadBytes });
  }

  retry(cursor: ModelCursor, id: number, dueMs: number): void {
    if (cursor.held.delete(id)) cursor.retrying.set(id, dueMs);
  }

  /** Everything below `toId` that was not settled was taken from the cursor. Returns the events. */
  dropped(cursor: ModelCursor, toId: number): number {
    let events = 0;
    for (let at = cursor.nextId; at < toId; ) {
      const entry = cursor.settled.get(at);
      if (entry !== undefined) {
        at = entry.to;
        continue;
      }
      const record = at < cursor.unreadId ? this.at(at) : undefined;
      const to = record === undefined ? toId : record.id + record.events;
      if (record === undefined) cursor.missing.set(at, to);
      cursor.held.delete(at);
      cursor.retrying.delete(at);
      events += to - at;
      cursor.settled.set(at, { to, fate: 'dropped_oldest', bytes: record?.payloadBytes ?? this.#bytesOf(at, to) });
      at = to;
    }
    this.#release(cursor);
    return events;
  }

  /** Every cursor is behind this id in both slots of the ledger: segments below may be freed at any time. */
  published(slowestId: number): void {
    this.#leftBelow = Math.max(this.#leftBelow, slowestId);
  }

  addCursor(name: string, nextId: number): ModelCursor {
    const cursor = new ModelCursor(name, nextId);
    this.cursors.set(name, cursor);
    return cursor;
  }

  removeCursor(name: string): void {
    this.cursors.delete(name);
    const slowestId = this.#slowestId(undefined);
    if (slowestId <= this.countedId) return;
    this.totals.acknowledged.events += slowestId - this.countedId;
    this.countedId = slowestId;
    this.bytesKnown = false; // What others made of these events is counted as acknowledged; bytes are the difference.
  }

  // Ends and beginnings.

  /** The process was killed: only what was written is certain. */
  killed(): void {
    for (const record of this.records) if (!record.written) this.#doubt(record);
    this.#forgetHands();
  }

  /** The power was cut: only what was durable is certain, and the operating system holds nothing any more. */
  powerCut(): void {
    for (const record of this.records) {
      record.written = record.durable;
      if (record.durable) continue;
      this.#doubt(record);
      record.rekeyed = true; // Its segment may have lost its header, and with it the epoch.
    }
    this.#forgetHands();
  }

  /** What is written and not durable may have changed under the buffer. */
  cacheDropped(): void {
    for (const record of this.records) {
      if (record.durable) continue;
      this.#doubt(record);
      record.rekeyed = true;
    }
  }

  /** Bytes of records in this range of ids were damaged. */
  damaged(from: number, to: number): void {
    this.#damage.push({ from, to });
    for (let at = this.#indexFrom(from); at < this.records.length; at++) {
      const record = this.records[at] as ModelRecord;
      if (record.id >= to) return;
      this.#doubt(record, Number.POSITIVE_INFINITY);
    }
  }

  /** The buffer was opened: it says where the log ends, where its cursors are, and below which id it has counted. */
  opened(
    nextId: number,
    cursors: readonly { readonly name: string; readonly nextId: number }[],
    countedId: number,
  ): void {
    for (let at = this.#indexFrom(nextId); at < this.records.length; at++) {
      const lost = this.records[at] as ModelRecord;
      check(!lost.certain, `record ${lost.serial} (id ${lost.id}, durable ${lost.durable}) was cut off at ${nextId}`);
    }
    const before = this.records[this.#indexFrom(nextId) - 1];
    const cut = before !== undefined && before.id + before.events > nextId ? before : undefined;
    check(cut === undefined || !cut.certain, `record ${cut?.serial} was cut in two at ${nextId}`);
    this.life += 1;
    // What could not be read may be seen again by the next life, with the ids it had.
    for (const cut of this.readsDoubtful ? this.records : []) {
      if (cut.id + cut.events > nextId) this.offers.set(cut.serial, { ...cut, life: this.life - 1 });
    }
    this.records = this.records.filter((record) => record.id + record.events <= nextId);
    this.cursors.clear();
    for (const cursor of cursors) this.addCursor(cursor.name, cursor.nextId);
    const slowestId = this.#slowestId(undefined);
    check(countedId >= slowestId && countedId <= nextId, `counted to ${countedId}, between ${slowestId} and ${nextId}`);
    this.countedId = countedId; // Above the slowest cursor where that one was added later.
    this.totals = noCounts();
    this.bytesKnown = true;
  }

  /** Nothing is left of what there was: a buffer begins anew. Keys stay given. */
  begunAnew(): void {
    const slowestId = this.#slowestId(undefined);
    const lost = this.records.find((record) => record.certain && record.id >= slowestId);
    check(lost === undefined, `record ${lost?.serial} was lost with the whole buffer`);
    this.records = [];
    this.#damage.length = 0;
    this.cursors.clear();
  }

  #doubt(record: ModelRecord, life = this.life): void {
    record.certain = false;
    record.doubtedIn = Math.max(record.doubtedIn, life);
  }

  #forgetHands(): void {
    for (const cursor of this.cursors.values()) {
      cursor.held.clear();
      cursor.retrying.clear();
    }
  }

  #settle(cursor: ModelCursor, from: number, entry: Entry): void {
    check(from >= cursor.nextId && !cursor.settled.has(from), `${cursor.name} was told of id ${from} twice`);
    cursor.settled.set(from, entry);
    this.#release(cursor);
  }

  #release(cursor: ModelCursor): void {
    for (;;) {
      const from = cursor.nextId;
      const entry = cursor.settled.get(from);
      if (entry === undefined) return;
      cursor.settled.delete(from);
      cursor.nextId = entry.to;
      count(cursor.counts[entry.fate], entry.to - from, entry.bytes);
      this.#passed(cursor, from, entry);
    }
  }

  /** The last cursor to pass an event decides under which heading the buffer counts it. */
  #passed(cursor: ModelCursor, from: number, entry: Entry): void {
    const start = Math.max(from, this.countedId);
    const end = Math.min(entry.to, this.#slowestId(cursor));
    if (start >= end) return;
    count(this.totals[entry.fate], end - start, entry.bytes);
    if (start !== from || end !== entry.to) this.bytesKnown = false;
    this.countedId = end;
  }

  #slowestId(except: ModelCursor | undefined): number {
    let slowestId = Number.POSITIVE_INFINITY;
    for (const cursor of this.cursors.values()) {
      if (cursor !== except) slowestId = Math.min(slowestId, cursor.nextId);
    }
    return slowestId;
  }

  #bytesOf(from: number, to: number): number {
    let bytes = 0;
    for (let at = this.#indexFrom(from); at < this.records.length; at++) {
      const record = this.records[at] as ModelRecord;
      if (record.id >= to) break;
      if (!record.certain) this.bytesKnown = false;
      bytes += record.payloadBytes;
    }
    if (this.offers.size > 0 || this.readsFail) this.bytesKnown = false;
    return bytes;
  }

  /** Index of the first record whose id is at least this. */
  #indexFrom(id: number): number {
    let low = 0;
    let high = this.records.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.records[middle] as ModelRecord).id < id) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
