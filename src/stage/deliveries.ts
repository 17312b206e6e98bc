// Deliveries on demand: a cursor as an Observable that emits no more than its consumer has room for.
//
// Nothing can pause an Observable, so this one is held back by what it has emitted: `maxInFlight` deliveries are out,
// and the next one is read when one of them is settled. The consumer's `mergeMap` needs no queue then.
//
// What is out when a subscription ends early belongs to nobody: it is handed back, so that the cursor hands it out
// again to the next subscriber, before anything new. A settlement that comes after that does nothing.

import { Observable } from 'rxjs';
import { UsageError } from '../base/errors.ts';
import type { RecordResult } from '../engine/ordered-finalizer-delivery.ts';
import type { CursorContract, DeliveryContract, RecordContract } from './buffer-contract.ts';

export interface DeliveryOptions {
  /**
   * Most deliveries that are emitted and not settled. Default 1, which keeps strict order; the same number belongs to
   * the `mergeMap` that follows.
   */
  readonly maxInFlight?: number;
  /** Most records in one delivery. Default: the buffer's. */
  readonly maxRecords?: number;
  /** Most payload bytes in one delivery; the first record is exempt. Default: the buffer's. */
  readonly maxBytes?: number;
}

/**
 * The records of a cursor as they are wanted: one settlement frees one place.
 *
 * Completes when the buffer is closed and a place is free; what is in flight then may still be settled until `close`
 * has waited long enough.
 * Errors when the cursor cannot be read; it may be subscribed to again. After an error or an unsubscription the
 * deliveries in flight are handed back and come again. Throws a UsageError for an option out of range.
 */
export function deliveries(cursor: CursorContract, options: DeliveryOptions = {}): Observable<DeliveryContract> {
  checkCount('maxInFlight', options.maxInFlight ?? 1);
  return new Observable((subscriber) => {
    const pump = new DeliveryPump(cursor, options, {
      handedOut: (delivery) => subscriber.next(delivery),
      settled: () => undefined,
      closed: () => subscriber.complete(),
      failed: (cause) => subscriber.error(cause),
    });
    pump.start();
    return () => pump.stop('hand_back');
  });
}

/** Throws a UsageError unless the value is a whole number of at least one. */
export function checkCount(name: string, value: unknown): void {
  if (Number.isSafeInteger(value) && (value as number) >= 1) return;
  throw new UsageError({
    code: 'SPILLWAY_USAGE_OPTION',
    message: `Cannot make a stage with ${name} = ${JSON.stringify(value)}: expected a whole number of at least 1`,
  });
}

export interface PumpObserver {
  handedOut(delivery: DeliveryContract): void;
  /** The consumer settled a delivery, or a part of it. */
  settled(): void;
  /** The buffer hands out nothing more. */
  closed(): void;
  failed(cause: unknown): void;
}

export class DeliveryPump {
  readonly #cursor: CursorContract;
  readonly #options: DeliveryOptions;
  readonly #observer: PumpObserver;
  readonly #held = new Set<HeldDelivery>();
  readonly #stopped = new AbortController();
  #isReading = false;

  constructor(cursor: CursorContract, options: DeliveryOptions, observer: PumpObserver) {
    this.#cursor = cursor;
    this.#options = options;
    this.#observer = observer;
  }

  /** Deliveries that are out and not settled. */
  get inFlight(): number {
    return this.#held.size;
  }

  start(): void {
    this.#pull();
  }

  /** Reads nothing more. `leave`: what is out may still be settled. `hand_back`: it comes again. */
  stop(held: 'leave' | 'hand_back'): void {
    // Completion tears the subscription down as well; only the first end decides what becomes of what is out.
    if (this.#stopped.signal.aborted) return;
    this.#stopped.abort();
    if (held === 'leave') return;
    const inOrder = [...this.#held].sort((one, other) => firstIdOf(one) - firstIdOf(other));
    this.#held.clear();
    for (const delivery of inOrder) delivery.handBack();
  }

  #pull(): void {
    const { maxInFlight = 1, maxRecords, maxBytes } = this.#options;
    const { signal } = this.#stopped;
    if (this.#isReading || signal.aborted || this.#held.size >= maxInFlight) return;
    this.#isReading = true;
    this.#cursor
      .read({
        signal,
        ...(maxRecords === undefined ? {} : { maxRecords }),
        ...(maxBytes === undefined ? {} : { maxBytes }),
      })
      .then(
        (delivery) => this.#arrived(delivery),
        (cause: unknown) => this.#failed(cause),
      );
  }

  #arrived(delivery: DeliveryContract | undefined): void {
    this.#isReading = false;
    if (this.#stopped.signal.aborted) {
      delivery?.retry(0); // It was on its way when we stopped, and nobody else knows of it.
      return;
    }
    if (delivery === undefined) {
      this.stop('leave');
      this.#observer.closed();
      return;
    }
    const held = new HeldDelivery(delivery, () => this.#settled(held));
    this.#held.add(held);
    this.#observer.handedOut(held);
    this.#pull();
  }

  #failed(cause: unknown): void {
    if (this.#stopped.signal.aborted) return; // Our own signal, or too late to matter.
    // Before the error: whoever subscribes again because of it reads at once, and should get these first.
    this.stop('hand_back');
    this.#observer.failed(cause);
  }

  #settled(delivery: HeldDelivery): void {
    if (delivery.unsettled === 0) this.#held.delete(delivery);
    this.#observer.settled();
    this.#pull();
  }
}

/** A delivery that tells when it is settled, and that can be taken out of its consumer's hands. */
class HeldDelivery implements DeliveryContract {
  readonly records: readonly RecordContract[];
  readonly #inner: DeliveryContract;
  readonly #settled: () => void;
  #isHandedBack = false;

  constructor(inner: DeliveryContract, settled: () => void) {
    this.records = inner.records;
    this.#inner = inner;
    this.#settled = settled;
  }

  get unsettled(): number {
    return this.#inner.unsettled;
  }

  ack(): void {
    if (this.#isHandedBack) return;
    this.#inner.ack();
    this.#settled();
  }

  retry(afterMs = 0): void {
    if (this.#isHandedBack) return;
    this.#inner.retry(afterMs);
    this.#settled();
  }

  reject(reason: string): void {
    if (this.#isHandedBack) return;
    this.#inner.reject(reason);
    this.#settled();
  }

  settle(results: readonly (RecordResult | undefined)[]): void {
    if (this.#isHandedBack) return;
    this.#inner.settle(results);
    this.#settled();
  }

  handBack(): void {
    this.#isHandedBack = true;
    // A listener of the buffer may end the subscription in the middle of the settlement that was the last one.
    if (this.#inner.unsettled > 0) this.#inner.retry(0);
  }
}

function firstIdOf(delivery: DeliveryContract): number {
  return delivery.records[0]?.id ?? 0;
}
