// What is remembered from one connection to the next: which events of the batch at hand the server has taken, and under
// which packet ids the others were sent.
//
// The buffer repeats a batch that was not delivered as a whole. What of it was acknowledged is not sent again; so only
// what was under way when a connection was lost can arrive twice, and a batch that is halved to find one bad event is
// not published over and over. Forgetting is always allowed: it costs repeats.
//
// Session resumption (MQTT 5, 3.1.2.11 and 4.4). At QoS 1 a server keeps nothing about what it receives: a PUBLISH is
// acknowledged and done. The whole state of a publisher's session is on this side, and it is what the buffer repeats
// anyway. Where the server says that the session goes on, the protocol wants the unacknowledged messages again, in the
// order they had, under their packet ids and marked as repeats; the ids are kept here, the messages in the buffer. In a
// new session nothing of the old one counts: new ids, no marks.
import type { SinkBatch, SinkRecord } from 'spillway/plugin';

const packetIdMax = 65_535;

export interface EventKey {
  readonly origin: string;
  readonly id: number;
}

export class Session {
  /** By origin and id: the packet id of what was sent and not answered, or that the server has it. */
  readonly #events = new Map<string, Map<number, number | 'taken'>>();
  readonly #packetIds = new Set<number>();
  #lastPacketId = 0;

  /** A batch comes. What lies before it will not come again, unless this process ends. */
  begin({ records }: SinkBatch): void {
    const firstIds = new Map<string, number>();
    for (const { origin, id } of records) firstIds.set(origin, Math.min(id, firstIds.get(origin) ?? id));
    for (const [origin, events] of this.#events) {
      const firstId = firstIds.get(origin) ?? Number.POSITIVE_INFINITY;
      for (const id of events.keys()) if (id < firstId) this.#forget({ origin, id });
      if (events.size === 0) this.#events.delete(origin);
    }
  }

  /** The batch is delivered as a whole: if it ever comes again, it is to be sent again. */
  end({ records }: SinkBatch): void {
    for (const { origin, id, events } of records) {
      for (let at = 0; at < events; at += 1) this.#forget({ origin, id: id + at });
    }
  }

  /** The server has begun a new session: it knows of no packet id. */
  reset(): void {
    for (const events of this.#events.values()) {
      for (const [id, state] of events) if (state !== 'taken') events.delete(id);
    }
    this.#packetIds.clear();
  }

  isTaken({ origin, id }: EventKey): boolean {
    return this.#events.get(origin)?.get(id) === 'taken';
  }

  /** Whether every event of a record is, so that it need not be taken apart. */
  isTakenWhole({ origin, id, events }: SinkRecord): boolean {
    if (!this.#events.has(origin)) return false;
    for (let at = 0; at < events; at += 1) if (!this.isTaken({ origin, id: id + at })) return false;
    return true;
  }

  /** How many messages are under way, or were when the last connection ended. */
  get unacknowledged(): number {
    return this.#packetIds.size;
  }

  /** The packet id for an event that is sent now. At most 65,535 may be unacknowledged. */
  send({ origin, id }: EventKey): { readonly packetId: number; readonly isRepeat: boolean } {
    const events = this.#events.get(origin) ?? new Map<number, number | 'taken'>();
    this.#events.set(origin, events);
    const known = events.get(id);
    if (typeof known === 'number') return { packetId: known, isRepeat: true };
    const packetId = this.#freePacketId();
    this.#packetIds.add(packetId);
    events.set(id, packetId);
    return { packetId, isRepeat: false };
  }

  /** The server has answered: it has the message, or it does not want it. The packet id is free again. */
  settle(key: EventKey, isTaken: boolean): void {
    this.#forget(key);
    if (isTaken) this.#events.get(key.origin)?.set(key.id, 'taken');
  }

  #forget({ origin, id }: EventKey): void {
    const events = this.#events.get(origin);
    const state = events?.get(id);
    if (typeof state === 'number') this.#packetIds.delete(state);
    events?.delete(id);
  }

  /** In turn, so that one that was just given back rests as long as it can. */
  #freePacketId(): number {
    if (this.#packetIds.size >= packetIdMax) throw new Error('all 65535 packet ids are in use');
    do this.#lastPacketId = (this.#lastPacketId % packetIdMax) + 1;
    while (this.#packetIds.has(this.#lastPacketId));
    return this.#lastPacketId;
  }
}
