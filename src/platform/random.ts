// Randomness as the engine sees it: salts and identities, nothing else.

export interface Random {
  /**
   * Fills a new array with `count` random bytes. The real one is unpredictable to an attacker, because a foreseeable
   * salt would let a payload forge a frame.
   */
  bytes(count: number): Uint8Array;
}

/** A number from 0 up to, but not including, 1: for jitter and samples. */
export function randomFraction(random: Random): number {
  const [a = 0, b = 0, c = 0, d = 0] = random.bytes(4);
  return (a * 2 ** 24 + b * 2 ** 16 + c * 2 ** 8 + d) / 2 ** 32;
}
