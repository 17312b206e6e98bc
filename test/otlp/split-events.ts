// A request as one request for each of its events, in order.
import type { Signal } from '../../src/otlp/signal.ts';
import { SingleEvents } from '../../src/otlp/single-events.ts';

export function splitEvents(signal: Signal, bytes: Uint8Array): Uint8Array[] {
  const events = new SingleEvents(signal, bytes);
  return Array.from({ length: events.count }, (_, event) => events.request(event));
}
