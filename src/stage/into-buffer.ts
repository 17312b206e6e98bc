// Pulling: an iterable can wait, so nothing is taken from it before the buffer has accepted what was taken last.
//
// That is the whole of the backpressure: a full disk, a slow disk or a policy that blocks holds the append, the append
// holds the loop, and the loop asks for nothing more. A Readable reads ahead on its own, up to its highWaterMark.

import { abortable } from '../base/abort.ts';
import type { BufferContract } from './buffer-contract.ts';
import { answer, Intake, type IntakeEnd, type IntakeTotals, type StageItem } from './intake.ts';

/** Anything that can be asked for the next item: a generator, an array, a Readable in object mode. */
export type StageInput = AsyncIterable<StageItem> | Iterable<StageItem>;

/**
 * Appends everything that `input` yields, one item after another, and resolves with what became of it once the input
 * has ended. Never more than one item is taken that the buffer has not accepted.
 *
 * Rejects with the error of the input, the error of the append, or the signal's reason. The input is closed then: its
 * iterator is given `return()`, a Readable is destroyed. What was accepted stays in the buffer.
 */
export async function intoBuffer(
  input: StageInput,
  buffer: BufferContract,
  { signal }: { readonly signal?: AbortSignal } = {},
): Promise<IntakeTotals> {
  const intake = new Intake(buffer);
  const end = await pull(input, intake, signal);
  if (end.kind !== 'ended') throw end.cause;
  return intake.totals();
}

/** Offers item after item until the input ends or something fails, and says which. */
export async function pull(input: StageInput, intake: Intake, signal: AbortSignal | undefined): Promise<IntakeEnd> {
  let items: InputReader | undefined;
  let kind: 'input_failed' | 'refused' = 'input_failed';
  try {
    items = new InputReader(input);
    for (;;) {
      const step = await items.next(signal);
      if (step.done === true) return { kind: 'ended' };
      kind = 'refused';
      intake.check(step.value);
      const result = await intake.offer(step.value, signal);
      kind = 'input_failed';
      answer(step.value, result);
    }
  } catch (cause) {
    await items?.close();
    return { kind, cause };
  }
}

class InputReader {
  readonly #input: StageInput;
  readonly #iterator: AsyncIterator<StageItem> | Iterator<StageItem>;
  #state: 'idle' | 'asked' | 'ended' = 'idle';

  constructor(input: StageInput) {
    this.#input = input;
    this.#iterator = Symbol.asyncIterator in input ? input[Symbol.asyncIterator]() : input[Symbol.iterator]();
  }

  async next(signal: AbortSignal | undefined): Promise<IteratorResult<StageItem>> {
    signal?.throwIfAborted();
    this.#state = 'asked';
    const asked = this.#ask();
    asked.catch(() => undefined); // Whoever is aborted meanwhile does not wait for it.
    return await (signal === undefined ? asked : abortable(asked, signal));
  }

  async #ask(): Promise<IteratorResult<StageItem>> {
    try {
      const step = await this.#iterator.next();
      this.#state = step.done === true ? 'ended' : 'idle';
      return step;
    } catch (cause) {
      this.#state = 'ended'; // An iterator that threw has ended by itself.
      throw cause;
    }
  }

  /** What goes wrong in here would hide why we are here. */
  async close(): Promise<void> {
    if (this.#state === 'ended') return;
    const isAsked = this.#state === 'asked';
    this.#state = 'ended';
    const closed = this.#giveBack();
    // A generator answers return() only after next(), for which it may wait for ever: that is why we were aborted.
    if (!isAsked) await closed;
  }

  async #giveBack(): Promise<void> {
    try {
      const closed = this.#iterator.return?.();
      // Its iterator would destroy it too, but not if it was never asked, or is asked and has nothing.
      if (isDestroyable(this.#input)) this.#input.destroy();
      await closed;
    } catch {
      return;
    }
  }
}

function isDestroyable(input: object): input is { destroy(): void } {
  return 'destroy' in input && typeof input.destroy === 'function';
}
