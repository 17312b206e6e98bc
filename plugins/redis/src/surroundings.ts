// What options of a sink with `type: redis` need of the buffer before them and of other sinks: with `ids: key` a stream
// belongs to one cursor of one buffer whose keys outlive the process (owned-stream.ts).
import type { OptionsProblem, SinkSurroundings } from 'spillway/plugin';
import { keyOf, type RedisOptions, serverOf } from './options.ts';
import { addressText } from './server.ts';

export const needsDurableBuffer: string =
  'keys as ids need a buffer whose keys outlive the process: give it a single disk buffer, or set ids: auto, with ' +
  'which events can be repeated after a failure';

/** Whether repeats are told by ids, so that the stream is this sink's alone. */
export function ownsStream({ data_type: type, ids }: RedisOptions): boolean {
  return type === 'stream' && ids === 'key';
}

export function checkRedisOptions(options: RedisOptions, given: SinkSurroundings<RedisOptions>): OptionsProblem[] {
  const owns = ownsStream(options);
  if (owns && !given.buffer.isDurable) return [{ path: ['ids'], message: needsDurableBuffer }];
  const own = new Set(given.signals.map((signal) => keyOf(options, signal)));
  const other = given.earlier.find((each) => {
    if (!(owns || ownsStream(each.options)) || !isSameServer(each.options, options)) return false;
    return each.signals.some((signal) => own.has(keyOf(each.options, signal)));
  });
  if (other === undefined) return [];
  const message = `"${other.id}" writes to it, too: with ids: key a stream is for one sink alone`;
  return [{ path: [options.key === undefined ? 'stream' : 'key'], message }];
}

function isSameServer(one: RedisOptions, other: RedisOptions): boolean {
  const [a, b] = [serverOf(one), serverOf(other)];
  return a.database === b.database && addressText(a.address) === addressText(b.address);
}
