// The way from a source into its buffers: what a source emits is appended to every buffer behind it, and the source is
// answered when all of them have.
//
// Appends of different requests run side by side, so that a disk buffer commits them as one group; a source that wants
// order emits one batch after the other. With several buffers the answer is the worst of theirs. A source whose peer
// repeats a batch that one buffer had taken and another had not, gives the first one a repeat: at least once.

import { abortable } from '../../base/abort.ts';
import { InvariantViolation } from '../../base/assert.ts';
import { isStorageError } from '../../base/errors.ts';
import { metadataOfSignal, type TelemetryBatch } from '../../otlp/signal.ts';
import { splitAt } from '../../otlp/split.ts';
import type { Clock } from '../../platform/clock.ts';
import type { PipelineBuffer } from '../contract/buffer.ts';
import type { EmitOptions, EmitResult } from '../contract/source.ts';
import type { EventCount } from '../contract/status.ts';

/** What a peer is told to wait before it comes again. */
const retryAfterFullMs = 1_000;
const retryAfterFailureMs = 5_000;

/**
 * From the best answer to the worst; of several buffers' answers, and of two halves', the worst counts. An answer
 * after which the peer comes again is worse than one that is final: nothing shall be lost because something else was
 * too large.
 */
const severity: readonly EmitResult['kind'][] = ['accepted', 'dropped', 'too_large', 'full', 'unavailable'];

export interface IntakeCounts {
  readonly received: EventCount;
  readonly accepted: EventCount;
  readonly dropped: EventCount;
  readonly refused: EventCount;
}

type Count = { events: number; bytes: number };

export interface IntakeOptions {
  /** At least one. */
  readonly buffers: readonly PipelineBuffer[];
  readonly clock: Clock;
  /** Aborted when waiting for room is over: the pipeline stops. */
  readonly closing: AbortSignal;
  /** Told of a bug of ours: the pipeline cannot go on. */
  readonly broken?: (cause: InvariantViolation) => void;
}

export class Intake {
  readonly #buffers: readonly PipelineBuffer[];
  readonly #clock: Clock;
  readonly #closing: AbortSignal;
  readonly #counts = { received: empty(), accepted: empty(), dropped: empty(), refused: empty() };

  readonly #broken: (cause: InvariantViolation) => void;
  /** Calls of `emit` without an answer, and those who wait until there is none. */
  #open = 0;
  #idle: (() => void)[] = [];

  constructor({ buffers, clock, closing, broken = () => undefined }: IntakeOptions) {
    this.#broken = broken;
    this.#buffers = buffers;
    this.#clock = clock;
    this.#closing = closing;
  }

  counts(): IntakeCounts {
    const { received, accepted, dropped, refused } = this.#counts;
    return { received: { ...received }, accepted: { ...accepted }, dropped: { ...dropped }, refused: { ...refused } };
  }

  /** Never rejects. */
  async emit(batch: TelemetryBatch, options: EmitOptions = {}): Promise<EmitResult> {
    count(this.#counts.received, batch);
    this.#open += 1;
    const result = await this.#offerToAll(batch, options).catch((cause: unknown) => this.#failed(cause));
    count(this.#counts[headingOf(result)], batch);
    this.#open -= 1;
    if (this.#open === 0) for (const resolve of this.#idle.splice(0)) resolve();
    return result;
  }

  /** Resolves when everything that was emitted has its answer. */
  async idle(): Promise<void> {
    if (this.#open > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  #failed(cause: unknown): EmitResult {
    if (cause instanceof InvariantViolation) this.#broken(cause);
    return { kind: 'unavailable', reason: messageOf(cause), retryAfterMs: retryAfterFailureMs };
  }

  async #offerToAll(batch: TelemetryBatch, { maxWaitMs, signal }: EmitOptions): Promise<EmitResult> {
    const patience = new Patience(this.#clock, maxWaitMs, [this.#closing, ...(signal === undefined ? [] : [signal])]);
    try {
      const [only] = this.#buffers;
      if (this.#buffers.length === 1 && only !== undefined) return await offer(only, batch, patience);
      return worstOf(await Promise.all(this.#buffers.map((buffer) => offer(buffer, batch, patience))));
    } finally {
      patience.end();
    }
  }
}

/** How long somebody is willing to wait, and why it is over. One signal for all appends of a batch. */
class Patience {
  readonly #over = new AbortController();
  readonly #sources: readonly AbortSignal[];
  readonly #stop = (): void => this.#over.abort('stopping');
  readonly #timer: { cancel(): void } | undefined;

  constructor(clock: Clock, maxWaitMs: number | undefined, sources: readonly AbortSignal[]) {
    this.#sources = sources;
    for (const source of sources) {
      if (source.aborted) this.#stop();
      source.addEventListener('abort', this.#stop);
    }
    if (maxWaitMs !== undefined) this.#timer = clock.setTimer(maxWaitMs, () => this.#over.abort('too long'));
  }

  get signal(): AbortSignal {
    return this.#over.signal;
  }

  get isStopped(): boolean {
    return this.#over.signal.reason === 'stopping';
  }

  end(): void {
    this.#timer?.cancel();
    for (const source of this.#sources) source.removeEventListener('abort', this.#stop);
  }
}

async function offer(buffer: PipelineBuffer, batch: TelemetryBatch, patience: Patience): Promise<EmitResult> {
  const { signal, bytes, events } = batch;
  if (patience.signal.aborted) return gaveUp(buffer, patience);
  try {
    const options = { events, metadata: metadataOfSignal[signal], signal: patience.signal };
    // The buffer may wait for its disk with a record that it has: then, too, the patience is the caller's.
    const result = await abortable(buffer.append(bytes, options), patience.signal);
    return result.status === 'stored' ? { kind: 'accepted' } : { kind: 'dropped', reason: result.reason, events };
  } catch (cause) {
    if (codeOf(cause) === 'SPILLWAY_USAGE_TOO_LARGE') return offerHalves(buffer, batch, patience);
    if (isStorageError(cause, 'full')) return { kind: 'full', retryAfterMs: retryAfterFullMs };
    if (patience.signal.aborted && cause === patience.signal.reason) return gaveUp(buffer, patience);
    if (cause instanceof InvariantViolation) throw cause;
    return { kind: 'unavailable', reason: messageOf(cause), retryAfterMs: retryAfterFailureMs };
  }
}

function gaveUp(buffer: PipelineBuffer, patience: Patience): EmitResult {
  if (patience.isStopped) {
    return { kind: 'unavailable', reason: 'the pipeline is stopping', retryAfterMs: retryAfterFailureMs };
  }
  const { state } = buffer.stats();
  if (state === 'open') return { kind: 'full', retryAfterMs: retryAfterFullMs };
  return { kind: 'unavailable', reason: `the buffer is ${state}`, retryAfterMs: retryAfterFailureMs };
}

/** A batch that no record can hold becomes two, in order. A single event that is too large is told to the source. */
async function offerHalves(buffer: PipelineBuffer, batch: TelemetryBatch, patience: Patience): Promise<EmitResult> {
  const { signal, bytes, events } = batch;
  if (events === 1) return { kind: 'too_large', limitBytes: buffer.stats().maxRecordBytes ?? bytes.length - 1 };
  const headEvents = Math.floor(events / 2);
  const { head, tail } = splitAt(signal, bytes, headEvents);
  const first = await offer(buffer, { signal, bytes: head, events: headEvents }, patience);
  // Of a batch that is refused the rest would come twice; of one that is too large the rest has to go on.
  if (first.kind === 'full' || first.kind === 'unavailable') return first;
  const second = await offer(buffer, { signal, bytes: tail, events: events - headEvents }, patience);
  const worst = worstOf([first, second]);
  return worst.kind === 'dropped' ? { ...worst, events: droppedBy(first) + droppedBy(second) } : worst;
}

/** Of two drops the larger one: the same events may have been dropped twice. */
function worstOf(results: readonly EmitResult[]): EmitResult {
  const rank = (result: EmitResult): number => severity.indexOf(result.kind) + droppedBy(result) / (2 ** 24 + 1);
  return results.reduce((one, other) => (rank(other) > rank(one) ? other : one));
}

function droppedBy(result: EmitResult): number {
  return result.kind === 'dropped' ? result.events : 0;
}

function headingOf({ kind }: EmitResult): 'accepted' | 'dropped' | 'refused' {
  return kind === 'accepted' || kind === 'dropped' ? kind : 'refused';
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

function codeOf(cause: unknown): unknown {
  return cause instanceof Error && 'code' in cause ? cause.code : undefined;
}

function empty(): Count {
  return { events: 0, bytes: 0 };
}

function count(total: Count, { events, bytes }: TelemetryBatch): void {
  total.events += events;
  total.bytes += bytes.length;
}
