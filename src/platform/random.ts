// Randomness as the engine sees it: salts and identities, nothing else.

export interface Random {
  /**
   * Fills a new array with `count` random bytes. The real one is unpredictable to an attacker, because a foreseeable
   * salt would let a payload forge a frame.
   */
  bytes(count: number): Uint8Array;
}
