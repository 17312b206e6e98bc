// What tests of the stage share: a buffer on a simulated disk, items and deliveries as texts, and somebody who watches.

import { lastValueFrom, type Observable, toArray } from 'rxjs';
import type { DiskBuffer, DiskBufferOptions } from '../src/index.ts';
import type { DeliveryContract, StageItem } from '../src/stage/index.ts';
import { BufferRig, bytesOf, textOf } from './buffer-rig.ts';

export type Opened = { readonly rig: BufferRig; readonly buffer: DiskBuffer };

export async function opened(options: Partial<DiskBufferOptions> = {}): Promise<Opened> {
  const rig = new BufferRig();
  return { rig, buffer: await rig.open(options) };
}

export function itemOf(text: string): StageItem {
  return { payload: bytesOf(text) };
}

export function textsOf({ records }: DeliveryContract): string[] {
  return records.map(({ payload }) => textOf(payload));
}

/** Acknowledges a delivery; its texts, for `mergeMap` to emit. */
export function acknowledge(delivery: DeliveryContract): readonly string[] {
  delivery.ack();
  return textsOf(delivery);
}

/** Everything that is still in the buffer, read without a stage. */
export async function remaining(rig: BufferRig, buffer: DiskBuffer): Promise<string[]> {
  const seen = await rig.readTo(buffer.cursor('default'), buffer.stats().frontiers.reserved);
  return seen.map(({ text }) => text);
}

export function collect<Value>(stream: Observable<Value>): Promise<Value[]> {
  return lastValueFrom(stream.pipe(toArray()));
}

export type Watched = {
  readonly seen: { readonly deliveries: DeliveryContract[]; end: unknown };
  readonly unsubscribe: () => void;
};

/** Subscribes and writes down what comes; `end` becomes the error, or `complete`. Nothing is settled. */
export function watch(stream: Observable<DeliveryContract>): Watched {
  const seen: Watched['seen'] = { deliveries: [], end: undefined };
  const subscription = stream.subscribe({
    next: (delivery) => seen.deliveries.push(delivery),
    error: (cause: unknown) => {
      seen.end = cause;
    },
    complete: () => {
      seen.end = 'complete';
    },
  });
  return { seen, unsubscribe: () => subscription.unsubscribe() };
}
