// Payloads made before the clock starts, and a check that what came back is what was sent.
import type { Delivery } from '../../src/index.ts';

const kinds = 256;

export class Records {
  readonly payloadBytes: number;
  readonly #payloads: readonly Uint8Array[];
  readonly #marks: readonly number[];
  #sent = 0;
  #checked = 0;

  constructor(payloadBytes: number) {
    this.payloadBytes = payloadBytes;
    this.#payloads = Array.from({ length: kinds }, (_none, kind) => {
      const payload = new Uint8Array(payloadBytes);
      for (let at = 0; at < payloadBytes; at++) payload[at] = (kind * 31 + at * 7) & 0xff;
      payload[0] = kind;
      return payload;
    });
    this.#marks = this.#payloads.map((payload) => markOf(payload));
  }

  get sent(): number {
    return this.#sent;
  }

  get checked(): number {
    return this.#checked;
  }

  /** The payload of the next record; `took` once it was accepted. */
  get next(): Uint8Array {
    return this.#payloads[this.#sent % kinds] as Uint8Array;
  }

  took(): void {
    this.#sent += 1;
  }

  /** Looks into every record, as any consumer would, and throws unless they are the next ones in order. */
  check(delivery: Delivery): void {
    let at = this.#checked;
    for (const { payload } of delivery.records) {
      if (payload.length !== this.payloadBytes || markOf(payload) !== this.#marks[at % kinds]) {
        throw new Error(`record ${at} came back as another one`);
      }
      at += 1;
    }
    this.#checked = at;
  }
}

/** First, middle and last byte: enough to notice a mix-up, too little to measure a checksum of our own. */
function markOf(payload: Uint8Array): number {
  const last = payload.length - 1;
  return ((payload[0] as number) << 16) | ((payload[last >>> 1] as number) << 8) | (payload[last] as number);
}
