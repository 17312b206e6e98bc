// How large a batch may be for this sink, in bytes: what the config says, less what the sink taught us.
//
// A sink that refuses 10 MB would otherwise be sent every 10 MB twice, for ever: once to be refused, once in halves. So
// the limit falls to half of what was refused, and grows by a tenth with each batch that used most of it, but not up to
// what was refused before. That mark itself rises after many good batches, because a receiver may have been given room:
// one refusal in some hundred batches is what it costs to find out.

const growth = 1.1;
/** A batch this large in relation to the limit says something about it. */
const usedMost = 0.5;
/** How near the limit comes to what was refused. */
const nearness = 15 / 16;
const patienceBatches = 256;
const ceilingGrowth = 1.5;

export class SizeLimit {
  readonly #configuredBytes: number;
  #limitBytes: number;
  /** The smallest that was refused; Infinity if nothing was. */
  #refusedBytes = Number.POSITIVE_INFINITY;
  #goodBatches = 0;

  constructor(configuredBytes: number) {
    this.#configuredBytes = configuredBytes;
    this.#limitBytes = configuredBytes;
  }

  get maxBytes(): number {
    return this.#limitBytes;
  }

  /** Whether anything was learned that the config does not say: then what is larger is halved without being sent. */
  get isLearned(): boolean {
    return this.#limitBytes < this.#configuredBytes;
  }

  /** A batch of several events was too large. (Of a single event nothing follows for others.) */
  tooLarge(byteLength: number): void {
    this.#goodBatches = 0;
    this.#refusedBytes = Math.min(this.#refusedBytes, byteLength);
    this.#limitBytes = Math.max(1, Math.min(this.#limitBytes, Math.floor(byteLength / 2)));
  }

  delivered(byteLength: number): void {
    if (!this.isLearned || byteLength < this.#limitBytes * usedMost) return;
    if (byteLength >= this.#refusedBytes) this.#refusedBytes = byteLength * ceilingGrowth;
    this.#goodBatches += 1;
    if (this.#goodBatches >= patienceBatches) {
      this.#goodBatches = 0;
      this.#refusedBytes *= ceilingGrowth;
    }
    const next = Math.min(Math.ceil(this.#limitBytes * growth), this.#configuredBytes);
    this.#limitBytes = Math.max(this.#limitBytes, Math.min(next, Math.floor(this.#refusedBytes * nearness)));
  }
}
