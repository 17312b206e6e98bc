// The key of an event, `<uuid>/<epoch>-<id>`, as the place of an event in its buffer: events are handed out in the
// order of their ids, and epochs only grow.

export interface EventPlace {
  readonly epoch: number;
  readonly event: number;
}

export interface EventKey extends EventPlace {
  readonly uuid: string;
}

/** Undefined if the text is no key. One that had to be sent under another id has a suffix, `~1`. */
export function parseKey(text: string): EventKey | undefined {
  const [, uuid, epoch, event] = /^([^/]+)\/(\d{1,10})-(\d{1,16})(?:~\d+)?$/.exec(text) ?? [];
  return uuid === undefined ? undefined : { uuid, epoch: Number(epoch), event: Number(event) };
}

/** What a record's origin, `<uuid>/<epoch>`, says. Undefined if it is none. */
export function parseOrigin(origin: string): { readonly uuid: string; readonly epoch: number } | undefined {
  const key = parseKey(`${origin}-0`);
  return key && { uuid: key.uuid, epoch: key.epoch };
}

/** Whether `a` stands at or before `b`; nothing does where there is no `b`. */
export function isAtOrBefore(a: EventPlace, b: EventPlace | undefined): boolean {
  if (b === undefined) return false;
  return a.epoch === b.epoch ? a.event <= b.event : a.epoch < b.epoch;
}
