// Randomness of the operating system, unpredictable to whoever chooses payloads.
import { randomFillSync } from 'node:crypto';
import type { Random } from './random.ts';

export class NodeRandom implements Random {
  bytes(count: number): Uint8Array {
    return randomFillSync(new Uint8Array(count));
  }
}
