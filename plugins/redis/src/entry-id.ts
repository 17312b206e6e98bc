// The ids of stream entries: `<epoch>-<event id>`, which is an event's key without the buffer's uuid. The server keeps
// ids ascending, and so does the buffer (EventPlace).
import type { EventPlace } from 'spillway/plugin';

/** Below every id that an entry can have; also what the server says of a stream that never had an entry. */
export const noEntry: EventPlace = { epoch: 0, event: 0 };

/** `undefined` if the text is no entry id. Parts beyond 2^53, which are never ours, are rounded. */
export function parseEntryId(text: string): EventPlace | undefined {
  const parts = /^(\d{1,20})-(\d{1,20})$/.exec(text);
  return parts === null ? undefined : { epoch: Number(parts[1]), event: Number(parts[2]) };
}

export function formatEntryId({ epoch, event }: EventPlace): string {
  return `${epoch}-${event}`;
}
