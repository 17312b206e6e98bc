// Randomness that can be repeated: the same seed gives the same numbers on every machine and in every process.
//
// The generator is xoshiro128** by Blackman and Vigna (32-bit state words, so that plain JavaScript integers do),
// seeded through a SplitMix32 sequence. It is fast and well mixed; it is foreseeable, which is the point here and the
// reason why it must never make the salts of a real buffer.
import { assert } from '../base/assert.ts';
import type { Random } from '../platform/random.ts';

export class SeededRandom implements Random {
  /** What was given to the constructor; printing it is enough to repeat a run. */
  readonly seed: number | string;
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  constructor(seed: number | string) {
    this.seed = seed;
    const next = splitMix32(hashOfSeed(seed));
    this.#a = next();
    this.#b = next();
    this.#c = next();
    this.#d = next() | 1; // The all-zero state would stay zero for ever.
  }

  /** A number in 0 .. 2^32 - 1. */
  uint32(): number {
    const result = Math.imul(rotateLeft(Math.imul(this.#b, 5), 7), 9) >>> 0;
    const shifted = this.#b << 9;
    this.#c ^= this.#a;
    this.#d ^= this.#b;
    this.#b ^= this.#c;
    this.#a ^= this.#d;
    this.#c ^= shifted;
    this.#d = rotateLeft(this.#d, 11);
    return result;
  }

  /** A number in [0, 1) with 32 random bits. */
  fraction(): number {
    return this.uint32() / 0x1_0000_0000;
  }

  /** An integer in 0 .. count - 1. `count` is at least 1 and may exceed 32 bits. */
  int(count: number): number {
    assert(Number.isSafeInteger(count) && count >= 1, 'a draw is among at least one', { count });
    if (count <= 0x1_0000_0000) return Math.floor(this.fraction() * count);
    const high = this.uint32() & 0x1f_ffff;
    return (high * 0x1_0000_0000 + this.uint32()) % count;
  }

  /** An integer in `least` .. `most`, both included. */
  between(least: number, most: number): number {
    return least + this.int(most - least + 1);
  }

  /** True with this probability; draws a number in every case, so that the sequence does not depend on it. */
  chance(probability: number): boolean {
    return this.fraction() < probability;
  }

  /** One of the items, which must not be empty. */
  pick<T>(items: readonly T[]): T {
    return items[this.int(items.length)] as T;
  }

  /** Puts the items in a random order, in place, and returns them. */
  shuffle<T>(items: T[]): T[] {
    for (let last = items.length - 1; last > 0; last--) {
      const other = this.int(last + 1);
      const moved = items[last] as T;
      items[last] = items[other] as T;
      items[other] = moved;
    }
    return items;
  }

  bytes(count: number): Uint8Array {
    const result = new Uint8Array(count);
    for (let at = 0; at < count; at++) result[at] = this.uint32() >>> 24;
    return result;
  }

  /**
   * A generator of its own for one part of a run. It depends on the seed and the label only, not on what was drawn
   * before: a part that draws more leaves the other parts as they were.
   */
  fork(label: string): SeededRandom {
    return new SeededRandom(`${this.seed}/${label}`);
  }
}

function rotateLeft(value: number, count: number): number {
  return (value << count) | (value >>> (32 - count));
}

/** FNV-1a over the text form; a number and its decimal text are the same seed, as on a command line. */
function hashOfSeed(seed: number | string): number {
  let hash = 0x811c9dc5;
  for (const character of String(seed)) hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 0x01000193);
  return hash;
}

function splitMix32(start: number): () => number {
  let state = start | 0;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let mixed = state ^ (state >>> 16);
    mixed = Math.imul(mixed, 0x21f0aaad);
    mixed ^= mixed >>> 15;
    mixed = Math.imul(mixed, 0x735a2d97);
    return mixed ^ (mixed >>> 15);
  };
}
