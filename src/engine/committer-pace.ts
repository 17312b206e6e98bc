// Chapter 8, third part. The pace: how far the log may run ahead of what the ledger says of it.
//
// The next open scans whatever lies behind the ledger's last word. So the ledger is asked to speak again after every
// 8 MiB, and writing waits when 32 MiB are not covered: opening stays quick, whatever the speed and the durability. A
// ledger that cannot be published holds nothing up: that costs time at the next open, and nothing now.
//
// Next: committer-times.ts, what was done and how long it took.

import { publishBytesMax } from './limits.ts';

export class Pace {
  #written = 0;
  #durable = 0;
  #published = 0;
  #asked = 0;
  #publishFailing = false;

  /** Frame bytes written since open. */
  get bytesWritten(): number {
    return this.#written;
  }

  /** Frame bytes made durable since open. */
  get bytesDurable(): number {
    return this.#durable;
  }

  /** Whether writing waits for the ledger. */
  get mustHold(): boolean {
    return !this.#publishFailing && this.#written - this.#published > 2 * publishBytesMax;
  }

  wrote(bytes: number): void {
    this.#written += bytes;
  }

  /** Everything up to here (a value of {@link bytesWritten}) is durable. */
  synced(bytesWritten: number): void {
    this.#durable = bytesWritten;
  }

  /** The ledger covers everything up to here (a value of {@link bytesDurable}), or could not be published. */
  published(bytesDurable: number | 'failed'): void {
    this.#publishFailing = bytesDurable === 'failed';
    if (bytesDurable !== 'failed') this.#published = bytesDurable;
  }

  /** Whether the ledger should be asked to speak now; says yes once per 8 MiB. */
  publishDue(): boolean {
    if (this.#written - this.#asked < publishBytesMax / 2) return false;
    this.#asked = this.#written;
    return true;
  }
}
