// How the events of a signal are nested in a request: what counting and splitting walk, and nothing more.
//
//   logs     request > 1 resource > 2 scope > 2 log record
//   traces   request > 1 resource > 2 scope > 2 span
//   metrics  request > 1 resource > 2 scope > 2 metric > 5, 7, 9, 10, 11 data > 1 data point
//
// A layer is a message that holds the next one, the last layer holds the events. `data` is one of five kinds (gauge,
// sum, histogram, exponential histogram, summary); a metric that carries two of them contradicts itself, as protobuf
// would let the last one win and throw away the events of the first: we call it malformed before anybody counts.
import type { Signal } from './signal.ts';

export interface Layer {
  /** Bit n: field n holds messages of the next layer, or events. */
  readonly inner: number;
  /** Bit n: field n is known to be length-delimited. Includes `inner`. */
  readonly delimited: number;
  /** Whether the next layer is a choice of which a message has one at most. */
  readonly choice: boolean;
}

function fields(...numbers: readonly number[]): number {
  return numbers.reduce((mask, number) => mask | (1 << number), 0);
}

const request: Layer = { inner: fields(1), delimited: fields(1), choice: false };
const resource: Layer = { inner: fields(2), delimited: fields(1, 2, 3), choice: false };
const scope: Layer = resource;
const metric: Layer = { inner: fields(5, 7, 9, 10, 11), delimited: fields(1, 2, 3, 5, 7, 9, 10, 11, 12), choice: true };
const data: Layer = { inner: fields(1), delimited: fields(1), choice: false };

export const layersOf: Readonly<Record<Signal, readonly Layer[]>> = {
  logs: [request, resource, scope],
  traces: [request, resource, scope],
  metrics: [request, resource, scope, metric, data],
};

/** Whether the field is in the mask. Field numbers from 32 on never are. */
export function holds(mask: number, fieldNumber: number): boolean {
  return fieldNumber < 32 && ((mask >>> fieldNumber) & 1) === 1;
}
