// How old the oldest event is that a sink has not delivered yet, looked at twenty times a second.
//
// The status has counts and no ages. So each look remembers how much had been accepted by then, and the age is the time
// since the first look at which more had been accepted than the sink has delivered by now: too low by a look at most.
import type { PipelineStatus } from '../../src/pipeline/contract/status.ts';

const intervalMs = 50;

interface Patience {
  readonly events: number;
  readonly patienceMs: number;
}

export class AgeWatch {
  readonly #accepted: { readonly atMs: number; readonly events: number }[] = [];
  /** Of each sink, one for each look. */
  readonly #ages = new Map<string, number[]>();

  /** One look. The status must be of one life of the pipeline. */
  look({ sources, buffers }: PipelineStatus, nowMs: number): void {
    const events = sources[0]?.accepted.events ?? 0;
    this.#accepted.push({ atMs: nowMs, events });
    for (const { sink = '', backlog } of buffers[0]?.cursors ?? []) {
      const oldest = this.#accepted.find((look) => look.events > events - backlog.events);
      const age = backlog.events === 0 ? 0 : nowMs - (oldest?.atMs ?? nowMs);
      this.#ages.set(sink, [...(this.#ages.get(sink) ?? []), age]);
    }
  }

  /** Looks until so many events have been accepted. Gives how many that were for each second. */
  async watch(status: () => Promise<PipelineStatus | undefined>, { events, patienceMs }: Patience): Promise<number> {
    const deadlineMs = performance.now() + patienceMs;
    for (;;) {
      const now = await status();
      if (now !== undefined) this.look(now, performance.now());
      const [first, last] = [this.#accepted[0], this.#accepted.at(-1)];
      const accepted = (last?.events ?? 0) - (first?.events ?? 0);
      if (accepted >= events) return (accepted / ((last?.atMs ?? 0) - (first?.atMs ?? 0))) * 1_000;
      if (performance.now() > deadlineMs) throw new Error(`${accepted} events accepted in ${patienceMs} ms`);
      await new Promise((resolve) => setTimeout(resolve, intervalMs));
    }
  }

  /** What `share` of the looks found no older: 0.5 is the median. */
  ageMs(sink: string, share: number): number {
    const sorted = (this.#ages.get(sink) ?? []).toSorted((left, right) => left - right);
    return sorted[Math.floor(sorted.length * share)] ?? Number.NaN;
  }
}
