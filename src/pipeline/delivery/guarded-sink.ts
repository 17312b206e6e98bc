// The sink behind a guard: its calls are counted by time, its answers are checked, and what it breaks shows as a crash.
//
// A sink honours the request timeout by itself. One that has not answered within the timeout and a grace is asked to
// give up, by its signal; what it answers then counts, as always. One that does not answer within a second grace is
// taken for crashed: sending the batch again while the first call may still be under way would break the order, and the
// number of batches at once.

import { PluginError } from '../../base/errors.ts';
import type { Clock, Timer } from '../../platform/clock.ts';
import type { HealthAnswer, Sink, SinkAnswer, SinkBatch } from '../contract/sink.ts';

/** What a sink gets beyond its timeout, twice: to answer by itself, and to answer when it was told to give up. */
export const graceMs = 5_000;

const answerKinds: readonly SinkAnswer['kind'][] = ['delivered', 'retryable', 'blocked', 'too_large', 'rejected'];

interface Call {
  readonly abort: AbortController;
  timer: Timer | undefined;
}

export class GuardedSink {
  readonly #sink: Sink;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #calls = new Set<Call>();

  constructor(options: { readonly sink: Sink; readonly clock: Clock; readonly timeoutMs: number }) {
    this.#sink = options.sink;
    this.#clock = options.clock;
    this.#timeoutMs = options.timeoutMs;
  }

  /** Rejects when the sink crashed: it threw, answered nonsense, or did not answer. */
  async deliver(batch: SinkBatch): Promise<SinkAnswer> {
    const answer = await this.#guard('deliver', (signal) => this.#sink.deliver(batch, { signal }));
    if (answerKinds.includes(answer?.kind)) return answer;
    const found = JSON.stringify(answer);
    throw failure(`The sink answered ${found} to a batch: expected { kind } with one of ${answerKinds.join(', ')}`);
  }

  /** Never rejects: a check that fails says nothing good about the sink, and nothing more. */
  async checkHealth(): Promise<HealthAnswer> {
    if (this.#sink.checkHealth === undefined) return { kind: 'healthy' };
    try {
      const answer = await this.#guard('checkHealth', async (signal) => await this.#sink.checkHealth?.({ signal }));
      return answer ?? { kind: 'healthy' };
    } catch (cause) {
      return { kind: 'retryable', reason: `the health check failed: ${messageOf(cause)}` };
    }
  }

  /** Asks every call that is under way to give up. */
  abort(): void {
    for (const { abort } of [...this.#calls]) abort.abort();
  }

  /** Forgets what is under way: nobody waits for it any more. */
  forget(): void {
    this.abort();
    for (const call of this.#calls) call.timer?.cancel();
    this.#calls.clear();
  }

  #guard<Answer>(what: string, begin: (signal: AbortSignal) => Promise<Answer>): Promise<Answer> {
    const call: Call = { abort: new AbortController(), timer: undefined };
    this.#calls.add(call);
    return new Promise((resolve, reject) => {
      const giveUp = (): void => {
        const waited = this.#timeoutMs + 2 * graceMs;
        reject(failure(`The sink has not ended ${what} within ${waited} ms, nor when it was told to give up`));
      };
      const tell = (): void => {
        call.timer = this.#clock.setTimer(graceMs, giveUp);
        call.abort.abort();
      };
      call.timer = this.#clock.setTimer(this.#timeoutMs + graceMs, tell);
      // Inside a promise's turn, so that a sink that throws at once is one that rejects.
      Promise.resolve(call.abort.signal).then(begin).then(resolve, reject);
    }).finally(() => {
      call.timer?.cancel();
      this.#calls.delete(call);
    }) as Promise<Answer>;
  }
}

function failure(message: string): PluginError {
  return new PluginError({ code: 'SPILLWAY_PLUGIN_FAILED', plugin: 'sink', message });
}

export function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
