// What a buffer of a config does when it has no room, in the words that all of them share. `overflow`, which a config
// also knows, belongs to the chain and never reaches a buffer.

import { type ZodType, z } from 'zod';
import type { WhenFull } from '../../engine/limits.ts';

export function whenFull(): ZodType<WhenFull, WhenFull | undefined> {
  return z
    .enum(['block', 'drop_newest', 'drop_oldest', 'reject'])
    .default('block')
    .describe(
      '`block`: sources wait. `drop_newest`: what comes is dropped and counted. `drop_oldest`: what is oldest is ' +
        'dropped and counted. `reject`: sources are refused, and try again.',
    );
}
