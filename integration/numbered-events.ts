// Log records with a client and a number, so that whatever comes out can be compared with what went in.
import { eachEvent } from '../src/otlp/decode.ts';
import { encodeLogLines } from '../src/otlp/log-lines.ts';

export interface NumberedEvent {
  readonly client: string;
  readonly number: number;
}

/** Consecutive numbers of one client as an OTLP request. `padding` bytes of text make each larger. */
export function numberedRequest(client: string, first: number, count: number, padding = 0): Uint8Array {
  const text = 'x'.repeat(padding);
  const lines = Array.from({ length: count }, (_, index) => ({
    body: `${client} ${first + index} ${text}`,
    observedMs: 1_750_000_000_000,
  }));
  return encodeLogLines({ resource: { 'service.name': client }, lines });
}

/** The events of a request in their order. Throws where there is something else. */
export function numberedEvents(request: Uint8Array): NumberedEvent[] {
  const events: NumberedEvent[] = [];
  const decoded = eachEvent('logs', request);
  if (decoded === undefined) throw new Error('a request that is no OTLP');
  for (const { event } of decoded) {
    const body = (event as { readonly body?: { readonly stringValue?: string } }).body?.stringValue ?? '';
    const parts = /^(\S+) (\d+) /.exec(body);
    if (parts === null) throw new Error(`an event that nobody sent: ${JSON.stringify(event)}`);
    events.push({ client: parts[1] ?? '', number: Number(parts[2]) });
  }
  return events;
}

/** What arrived of each client, in order of arrival; repeats are counted and left out. */
export class Arrivals {
  readonly #seen = new Map<string, Set<number>>();
  readonly #last = new Map<string, number>();
  readonly disorder: string[] = [];
  repeats = 0;
  count = 0;

  take(events: readonly NumberedEvent[]): void {
    for (const { client, number } of events) this.#takeOne(client, number);
  }

  has(client: string, number: number): boolean {
    return this.#seen.get(client)?.has(number) === true;
  }

  #takeOne(client: string, number: number): void {
    const seen = this.#seen.get(client) ?? new Set();
    this.#seen.set(client, seen);
    if (seen.has(number)) {
      this.repeats += 1;
      return;
    }
    seen.add(number);
    this.count += 1;
    const last = this.#last.get(client) ?? 0;
    // What is new comes in the order in which it was sent: a repeat may stand in between, never an overtaking.
    if (number < last) this.disorder.push(`${client} ${number} after ${last}`);
    this.#last.set(client, Math.max(last, number));
  }
}
