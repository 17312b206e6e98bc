// The ids of stream entries: `<epoch>-<event id>`, which is an event's key without the buffer's uuid. The server keeps
// ids ascending, and so does the buffer: events are handed out in order, and epochs only grow.

export interface EntryId {
  readonly epoch: number;
  readonly event: number;
}

/** Below every id that an entry can have; also what the server says of a stream that never had an entry. */
export const noEntry: EntryId = { epoch: 0, event: 0 };

/** `undefined` if the text is no entry id. Parts beyond 2^53, which are never ours, are rounded. */
export function parseEntryId(text: string): EntryId | undefined {
  const parts = /^(\d{1,20})-(\d{1,20})$/.exec(text);
  return parts === null ? undefined : { epoch: Number(parts[1]), event: Number(parts[2]) };
}

export function formatEntryId({ epoch, event }: EntryId): string {
  return `${epoch}-${event}`;
}

/** Below 0, 0 or above 0, as `a` stands before, at or behind `b`. */
export function compareEntryIds(a: EntryId, b: EntryId): number {
  return a.epoch === b.epoch ? a.event - b.event : a.epoch - b.epoch;
}

/** What a record's origin, `<uuid>/<epoch>`, says. Undefined if it is none. */
export function parseOrigin(origin: string): { readonly uuid: string; readonly epoch: number } | undefined {
  const parts = /^([^/]+)\/(\d{1,10})$/.exec(origin);
  return parts === null ? undefined : { uuid: parts[1] as string, epoch: Number(parts[2]) };
}
