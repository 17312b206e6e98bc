// Makes batches of the records that a cursor hands out: runs of one signal, in order, up to the limits.
//
// What no sink can be given is found here: records of a signal that this one does not take, with metadata that names no
// signal, or with bytes that are no request with as many events as the buffer counted. They form runs of their own,
// which go to the dead letters as one, and are never a reason to stop.
//
// F1  batches hold every record once, in the order in which the cursor gave them
// F2  a batch of more than one record is within the limits

import { countEvents } from '../../otlp/count.ts';
import { type Signal, signalOfMetadata } from '../../otlp/signal.ts';
import type { DeliveryContract, RecordContract } from '../../stage/buffer-contract.ts';
import { BufferedRecord } from './sink-batch.ts';

/** A run of the records of a delivery, `from` up to and not including `to`. */
export interface DeliverySlice {
  readonly delivery: DeliveryContract;
  readonly from: number;
  readonly to: number;
}

/** Where the records of a batch came from, and thus where they are settled: in the order of its records. */
export type FormedBatch = FitBatch | UnfitBatch;

interface FitBatch {
  readonly kind: 'fit';
  readonly records: readonly BufferedRecord[];
  readonly slices: readonly DeliverySlice[];
}

interface UnfitBatch {
  readonly kind: 'unfit';
  readonly reason: string;
  readonly signal: Signal | undefined;
  readonly records: readonly RecordContract[];
  readonly slices: readonly DeliverySlice[];
}

interface Limits {
  readonly maxBytes: number;
  readonly maxEvents: number;
}

/** What a record can be joined with: others of its signal, or others that are unfit for the same reason. */
interface Lane {
  readonly signal: Signal | undefined;
  readonly unfit: string | undefined;
}

const recordsPerReadMax = 4_096;

export class BatchFormer {
  readonly #taken: readonly Signal[] | undefined;
  readonly #limits: () => Limits;
  /** Deliveries of which records are not in a batch yet, and the place in the first of them. */
  readonly #waiting: DeliveryContract[] = [];
  #next = 0;
  #forming: FormingBatch | undefined;

  /** `taken`: the signals that the sink takes, undefined for all. The limits are asked for anew for each record. */
  constructor(options: { readonly taken: readonly Signal[] | undefined; readonly limits: () => Limits }) {
    this.#taken = options.taken;
    this.#limits = options.limits;
  }

  /** Whether there is any record that no batch has taken away. */
  get isEmpty(): boolean {
    return this.#forming === undefined;
  }

  /** Whether the next batch can take no more. */
  get isComplete(): boolean {
    return this.#forming !== undefined && (this.#waiting.length > 0 || this.#isFull(this.#forming));
  }

  /** What the next read should ask for. */
  get room(): { readonly maxRecords: number; readonly maxBytes: number } {
    const { maxBytes, maxEvents } = this.#limits();
    const { byteLength = 0, events = 0 } = this.#forming ?? {};
    return {
      maxRecords: Math.min(recordsPerReadMax, Math.max(1, maxEvents - events)),
      maxBytes: Math.max(1, maxBytes - byteLength),
    };
  }

  add(delivery: DeliveryContract): void {
    this.#waiting.push(delivery);
    this.#advance();
  }

  /** Takes the next batch away: when it is complete, or `asItIs`. */
  take({ asItIs }: { readonly asItIs: boolean }): FormedBatch | undefined {
    if (this.#forming === undefined || !(asItIs || this.isComplete)) return undefined;
    const batch = this.#forming.formed();
    this.#forming = undefined;
    this.#advance();
    return batch;
  }

  /** HOT. Moves waiting records into the batch that forms, until one does not go in. */
  #advance(): void {
    for (;;) {
      const delivery = this.#waiting[0];
      if (delivery === undefined) return;
      const { records } = delivery;
      const from = this.#next;
      let at = from;
      let forming = this.#forming;
      while (at < records.length) {
        const record = records[at] as RecordContract;
        const lane = this.#laneOf(record);
        if (forming === undefined) forming = new FormingBatch(lane);
        else if (!forming.isFor(lane) || !this.#fits(forming, record)) break;
        forming.add(record);
        at += 1;
      }
      this.#forming = forming;
      if (at > from) forming?.slices.push({ delivery, from, to: at });
      this.#next = at;
      if (at < records.length) return;
      this.#waiting.shift();
      this.#next = 0;
    }
  }

  #isFull({ byteLength, events }: FormingBatch): boolean {
    const { maxBytes, maxEvents } = this.#limits();
    return byteLength >= maxBytes || events >= maxEvents;
  }

  /** F2. */
  #fits(forming: FormingBatch, record: RecordContract): boolean {
    const { maxBytes, maxEvents } = this.#limits();
    return forming.byteLength + record.payload.length <= maxBytes && forming.events + record.events <= maxEvents;
  }

  #laneOf({ metadata, events, payload }: RecordContract): Lane {
    const signal = signalOfMetadata(metadata);
    if (signal === undefined) return { signal, unfit: `its metadata, ${metadata}, names no signal` };
    if (this.#taken !== undefined && !this.#taken.includes(signal)) {
      return { signal, unfit: `the sink takes no ${signal}` };
    }
    const counted = countEvents(signal, payload);
    if (counted === events) return fitLanes[signal];
    const found = counted === undefined ? 'none' : `one with ${counted}`;
    return { signal, unfit: `its bytes should be a request of ${signal} with ${events} events, and are ${found}` };
  }
}

/** Made once: nearly every record is in one of them. */
const fitLanes: Readonly<Record<Signal, Lane>> = {
  logs: { signal: 'logs', unfit: undefined },
  traces: { signal: 'traces', unfit: undefined },
  metrics: { signal: 'metrics', unfit: undefined },
};

class FormingBatch {
  readonly slices: DeliverySlice[] = [];
  readonly #lane: Lane;
  readonly #records: RecordContract[] = [];
  byteLength = 0;
  events = 0;

  constructor(lane: Lane) {
    this.#lane = lane;
  }

  isFor(lane: Lane): boolean {
    return this.#lane === lane || (this.#lane.signal === lane.signal && this.#lane.unfit === lane.unfit);
  }

  add(record: RecordContract): void {
    this.#records.push(record);
    this.byteLength += record.payload.length;
    this.events += record.events;
  }

  formed(): FormedBatch {
    const { signal, unfit } = this.#lane;
    const { slices } = this;
    if (signal === undefined || unfit !== undefined) {
      return { kind: 'unfit', signal, reason: unfit ?? '', records: this.#records, slices };
    }
    const records = this.#records.map((record) => new BufferedRecord(signal, record));
    return { kind: 'fit', records, slices };
  }
}
