// Whose something is that a sink fills by the keys of events, such as a stream: a cursor of a buffer. Only its events
// stand there in one order, so only of them the last one tells which have arrived.

import { ConfigError } from '../../base/errors.ts';
import type { SinkContext } from './sink.ts';

export interface KeyOwner {
  /** Uuid of the buffer. */
  readonly buffer: string;
  readonly cursor: string;
}

/** Throws a ConfigError where keys do not outlive the process. `needed` says so and what to do instead. */
export function ownerOf({ id, origin }: Pick<SinkContext, 'id' | 'origin'>, needed: string): KeyOwner {
  const { uuid, cursor, buffer } = origin;
  if (uuid !== undefined) return { buffer: uuid, cursor };
  throw new ConfigError({
    code: 'SPILLWAY_CONFIG_INVALID',
    message: `Making sink ${id} on buffer ${buffer} failed, and nothing was sent: ${needed}`,
  });
}
