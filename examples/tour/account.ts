// The account of the tour: what was promised, and what came back. Nothing in the closing table is assumed; every figure
// is counted here, record by record.
import { acceptedFields, deliveredFields } from './reports.ts';

const deliveredBefore = 1;
const deliveredAfter = 2;

export type Sums = {
  readonly accepted: number;
  readonly deliveredBefore: number;
  readonly deliveredAfter: number;
  /** Accepted, and delivered in neither life. */
  readonly lost: number;
  /** Delivered in both lives. */
  readonly repeated: number;
  /** Delivered, though the writer was killed before it could know that they were accepted. */
  readonly unpromised: number;
};

export class Account {
  /** By the record's number: its id, 0 if it was never reported as accepted. */
  readonly #ids: number[] = [];
  /** By the record's number: in which lives it was delivered. */
  readonly #deliveries: number[] = [];
  readonly #latenciesUs: number[] = [];
  /** Why something that came back is not what was promised; the first ones. */
  readonly complaints: string[] = [];

  accepted(numbers: Uint32Array): void {
    for (let at = 0; at < numbers.length; at += acceptedFields) {
      const number = numbers[at] as number;
      this.#ids[number] = numbers[at + 1] as number;
      this.#latenciesUs.push(numbers[at + 2] as number);
    }
  }

  deliveredBeforeKill(numbers: Uint32Array): void {
    for (let at = 0; at < numbers.length; at += deliveredFields) {
      this.#delivered(numbers[at] as number, numbers[at + 1] as number, deliveredBefore);
    }
  }

  deliveredAfterKill(number: number, id: number): void {
    this.#delivered(number, id, deliveredAfter);
  }

  complain(complaint: string): void {
    if (this.complaints.length < 5) this.complaints.push(complaint);
  }

  /** Commit latency in milliseconds below which this share of the accepted records lies. */
  latencyMs(share: number): number {
    const sorted = this.#latenciesUs.sort((a, b) => a - b);
    return (sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0) / 1_000;
  }

  sums(): Sums {
    const sums = { accepted: 0, deliveredBefore: 0, deliveredAfter: 0, lost: 0, repeated: 0, unpromised: 0 };
    for (let number = 0; number < Math.max(this.#ids.length, this.#deliveries.length); number++) {
      const isAccepted = (this.#ids[number] ?? 0) > 0;
      const lives = this.#deliveries[number] ?? 0;
      if (isAccepted) sums.accepted += 1;
      if ((lives & deliveredBefore) !== 0) sums.deliveredBefore += 1;
      if ((lives & deliveredAfter) !== 0) sums.deliveredAfter += 1;
      if (lives === (deliveredBefore | deliveredAfter)) sums.repeated += 1;
      if (isAccepted && lives === 0) sums.lost += 1;
      if (!isAccepted && lives !== 0) sums.unpromised += 1;
    }
    return sums;
  }

  #delivered(number: number, id: number, life: number): void {
    const promisedId = this.#ids[number] ?? 0;
    // A record may be delivered before the report that it was accepted.
    if (promisedId > 0 && promisedId !== id)
      this.complain(`record ${number} was accepted as ${promisedId}, came as ${id}`);
    this.#deliveries[number] = (this.#deliveries[number] ?? 0) | life;
  }
}
