// How long a batch waits before it comes again.

import { type Random, randomFraction } from '../../platform/random.ts';
import type { DeliverySettings } from '../contract/settings.ts';

type BackoffSettings = Pick<DeliverySettings['request'], 'retryInitialBackoffMs' | 'retryMaxBackoffMs' | 'retryJitter'>;

/** A receiver may ask for more patience than the config has, but not for ever: a wrong date must not stop a sink. */
const askedMsMax = 300_000;

export class Backoff {
  readonly #settings: BackoffSettings;
  readonly #random: Random;

  constructor(settings: BackoffSettings, random: Random) {
    this.#settings = settings;
    this.#random = random;
  }

  /** `tries` that failed before: 1, 2, ... `askedMs` is what the receiver asked for, and wins if it is longer. */
  afterTries(tries: number, askedMs: number = 0): number {
    const { retryInitialBackoffMs, retryMaxBackoffMs, retryJitter } = this.#settings;
    const full = Math.min(retryMaxBackoffMs, retryInitialBackoffMs * 2 ** Math.min(tries - 1, 60));
    const own = retryJitter === 'full' ? full * randomFraction(this.#random) : full;
    const asked = Number.isFinite(askedMs) ? Math.min(askedMs, Math.max(askedMsMax, retryMaxBackoffMs)) : 0;
    return Math.max(own, asked);
  }

  /** Without jitter: for what only a person can change. */
  get longestMs(): number {
    return this.#settings.retryMaxBackoffMs;
  }
}
