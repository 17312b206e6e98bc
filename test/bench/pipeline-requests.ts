// Requests that carry a mark each, the time of their sending and a number, so that whoever receives them can tell how
// long each was under way, and that none is missing. A pipeline hands requests on whole, one after the other in one
// body: their marks are found by stepping from request to request, and nothing of them is decoded.
import { encodeRequest } from '../../src/otlp/encode.ts';
import type { LogRecord, Resource, Span } from '../../src/otlp/request.ts';
import { SeededRandom } from '../../src/testing/seeded-random.ts';

export type RequestShape = { readonly signal: 'logs' | 'traces'; readonly events: number };

export type MarkedRequest = { readonly head: Uint8Array; readonly tail: Uint8Array };

/** So many different requests are sent in turns: compression has something to do, and no cache holds all. */
const eventsOfAll = 16_000;
const kindsMax = 64;
export const markBytes = 16;
const placeholder = Buffer.alloc(markBytes, 0xe7);
const resource: Resource = {
  attributes: [
    { key: 'mark', value: { bytesValue: placeholder.toString('base64') } },
    { key: 'service.name', value: { stringValue: 'orders' } },
    { key: 'host.name', value: { stringValue: 'orders-7d9c5b6f4-x2x9q' } },
  ],
};
const routes = ['/api/orders', '/api/orders/{id}', '/api/customers/{id}', '/api/products', '/api/carts/{id}/items'];
const levels = ['INFO', 'INFO', 'INFO', 'DEBUG', 'WARN', 'ERROR'];

/** What is sent before the mark of each request, and after it. The same in every process. */
export function markedRequests({ signal, events }: RequestShape): readonly MarkedRequest[] {
  const random = new SeededRandom('pipeline bench');
  const kinds = Math.max(4, Math.min(kindsMax, Math.floor(eventsOfAll / events)));
  return Array.from({ length: kinds }, () => {
    const bytes = signal === 'logs' ? logsOf(random, events) : tracesOf(random, events);
    const at = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).indexOf(placeholder);
    if (at === -1) throw new Error('the request has no place for its mark');
    return { head: bytes.slice(0, at), tail: bytes.slice(at + markBytes) };
  });
}

export function writeMark(mark: Buffer, sentMs: number, number: number): void {
  mark.writeDoubleLE(sentMs, 0);
  mark.writeDoubleLE(number, 8);
}

/** Calls with the mark of every request in the body. Throws for a request that nobody sent. */
export function eachMark(
  body: Buffer,
  requests: readonly MarkedRequest[],
  found: (sentMs: number, number: number) => void,
): void {
  // The mark is the first thing in a request: only the length in front of it takes one, two or three bytes.
  for (let at = 0; at < body.length; ) {
    const markAt = at + 1 + varintBytes(body, at + 1) + markOffset;
    const number = markAt + markBytes <= body.length ? body.readDoubleLE(markAt + 8) : Number.NaN;
    const request = requests[number % requests.length];
    if (request === undefined || body[at] !== 0x0a) throw new Error(`no request that was sent begins at byte ${at}`);
    at += request.head.length + markBytes + request.tail.length;
    if (body.length < at) throw new Error(`request ${number} has lost its end`);
    found(body.readDoubleLE(markAt), number);
  }
}

/** Milliseconds of the clock that all processes of the machine share. */
export function sharedClockMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

function varintBytes(body: Buffer, at: number): number {
  let count = 1;
  while ((body[at + count - 1] ?? 0) >= 0x80) count += 1;
  return count;
}

const [smallest] = markedRequests({ signal: 'logs', events: 1 });
/** From the first byte inside a request to its mark: tags and lengths of the resource, and the key. */
const markOffset = (smallest?.head.length ?? 0) - 1 - varintBytes(Buffer.from(smallest?.head ?? []), 1);

function logsOf(random: SeededRandom, events: number): Uint8Array {
  const logRecords = Array.from({ length: events }, (_, index) => logRecordOf(random, index));
  return encodeRequest('logs', { resourceLogs: [{ resource, scopeLogs: [{ scope: { name: 'http' }, logRecords }] }] });
}

function logRecordOf(random: SeededRandom, index: number): LogRecord {
  const severity = pick(random, levels);
  const { time, traceId, spanId, route, status, ms, customer } = drawn(random, index);
  return {
    timeUnixNano: time,
    observedTimeUnixNano: time,
    severityNumber: 9,
    severityText: severity,
    body: {
      stringValue: `${severity} POST ${route} answered ${status} in ${ms} ms, ${ms * 37} bytes, to ${customer}`,
    },
    attributes: [
      { key: 'http.route', value: { stringValue: route } },
      { key: 'http.response.status_code', value: { intValue: status } },
      { key: 'customer.id', value: { stringValue: customer } },
    ],
    traceId,
    spanId,
  };
}

function tracesOf(random: SeededRandom, events: number): Uint8Array {
  const spans = Array.from({ length: events }, (_, index): Span => {
    const { time, traceId, spanId, route, status, ms, customer } = drawn(random, index);
    return {
      traceId,
      spanId,
      name: `POST ${route}`,
      kind: 2,
      startTimeUnixNano: time,
      endTimeUnixNano: time + BigInt(ms) * 1_000_000n,
      attributes: [
        { key: 'http.route', value: { stringValue: route } },
        { key: 'http.response.status_code', value: { intValue: status } },
        { key: 'customer.id', value: { stringValue: customer } },
      ],
    };
  });
  return encodeRequest('traces', { resourceSpans: [{ resource, scopeSpans: [{ scope: { name: 'http' }, spans }] }] });
}

/** What differs from event to event. */
function drawn(
  random: SeededRandom,
  index: number,
): Readonly<Record<'traceId' | 'spanId' | 'route' | 'customer', string>> & {
  readonly time: bigint;
  readonly status: number;
  readonly ms: number;
} {
  return {
    time: 1_790_000_000_000_000_000n + BigInt(index) * 1_234_567n,
    traceId: hex(random, 4),
    spanId: hex(random, 2),
    route: pick(random, routes),
    status: random.uint32() % 20 === 0 ? 503 : 200,
    ms: random.uint32() % 400,
    customer: hex(random, 1),
  };
}

function hex(random: SeededRandom, words: number): string {
  return Array.from({ length: words }, () => random.uint32().toString(16).padStart(8, '0')).join('');
}

function pick(random: SeededRandom, values: readonly string[]): string {
  return values[random.uint32() % values.length] ?? '';
}
