// Draws that repeat for one seed: what a source makes up is then the same in every process and on every machine.
//
// A counter mixed by additions, shifts and exclusive ors of 32-bit words, started from a hash of the seed's text. Quick
// and well spread; foreseeable on purpose, so nothing that must be a secret or unique comes from here.

export class SeededDraws {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(seed: string) {
    this.#a = hash(seed, 0x9e3779b1);
    this.#b = hash(seed, 0x85ebca77);
    this.#c = hash(seed, 0xc2b2ae3d);
    for (let round = 0; round < 12; round++) this.uint32(); // Seeds that differ in a letter drift apart first.
  }

  uint32(): number {
    const sum = (((this.#a + this.#b) | 0) + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }

  /** From 0 up to, but not including, 1. */
  fraction(): number {
    return this.uint32() / 2 ** 32;
  }

  int(count: number): number {
    return Math.floor(this.fraction() * count);
  }

  chance(probability: number): boolean {
    return this.fraction() < probability;
  }

  pick<Item>(items: readonly [Item, ...Item[]]): Item {
    return items[this.int(items.length)] ?? items[0];
  }

  /** How long things take: most near the median, a few much longer. */
  logNormal({ median, sigma }: { readonly median: number; readonly sigma: number }): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.fraction()));
    return median * Math.exp(sigma * radius * Math.cos(2 * Math.PI * this.fraction()));
  }

  /** An id of W3C trace context in hex, never all zeros. */
  id(words: 2 | 4): string {
    let text = '';
    for (let word = 1; word < words; word++) text += hex(this.uint32());
    return text + hex(this.uint32() | 1);
  }
}

function hex(word: number): string {
  return (word >>> 0).toString(16).padStart(8, '0');
}

function hash(text: string, start: number): number {
  let state = start;
  for (let at = 0; at < text.length; at++) state = Math.imul(state ^ text.charCodeAt(at), 0x01000193);
  return state ^ (state >>> 15);
}
