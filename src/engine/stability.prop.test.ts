// Any sequence of appends, writes, syncs and failures: frontiers only grow, and everybody is told once, in time.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Stability } from './stability.ts';

type Step =
  | { readonly do: 'reserve' | 'submit' | 'written' | 'durable'; readonly by: number }
  | { readonly do: 'wait'; readonly back: number; readonly on: 'written' | 'durable' }
  | { readonly do: 'close' };

const by = fc.integer({ min: 0, max: 7 });
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constantFrom('reserve', 'submit', 'written', 'durable'), by }),
  fc.record({ do: fc.constant('wait'), back: by, on: fc.constantFrom('written', 'durable') }),
  fc.record({ do: fc.constant('close') }),
) as fc.Arbitrary<Step>;

interface Waiter {
  readonly on: 'written' | 'durable';
  readonly target: number;
  outcomes: ('reached' | 'failed')[];
}

/** One turn of promise callbacks. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 4; turn++) await Promise.resolve();
}

class Run {
  readonly stability = new Stability({ reserved: 1, written: 1, durable: 1 });
  readonly waiters: Waiter[] = [];

  take(step: Step): void {
    const { stability } = this;
    const { submitted, written, durable } = stability;
    switch (step.do) {
      case 'reserve':
        stability.reserve(stability.reserved + step.by);
        break;
      case 'submit':
        stability.submit(Math.min(stability.reserved, submitted.value + step.by));
        break;
      case 'written':
        stability.advanceWritten(Math.min(submitted.value, written.value + step.by));
        break;
      case 'durable':
        stability.advanceDurable(Math.min(written.value, durable.value + step.by));
        break;
      case 'close':
        stability.closeGroups();
        break;
      case 'wait':
        this.#wait(step.on, Math.max(1, stability.reserved - step.back));
        break;
    }
  }

  async check(): Promise<void> {
    await settle();
    for (const { on, target, outcomes } of this.waiters) {
      // Never early, never twice; late at most until everything that its group waits for has come this far.
      expect(outcomes.length).toBeLessThanOrEqual(1);
      if (outcomes[0] === 'reached') expect(this.stability[on].value).toBeGreaterThanOrEqual(target);
    }
  }

  #wait(on: 'written' | 'durable', target: number): void {
    const promise = this.stability[on].reach(target);
    if (promise === undefined) {
      expect(this.stability[on].value).toBeGreaterThanOrEqual(target);
      return;
    }
    const waiter: Waiter = { on, target, outcomes: [] };
    promise.then(
      () => waiter.outcomes.push('reached'),
      () => waiter.outcomes.push('failed'),
    );
    this.waiters.push(waiter);
  }
}

test('L29: frontiers only grow, and every waiter settles exactly once, never early', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const run = new Run();
      const { stability } = run;
      for (const each of steps) {
        const before = [stability.submitted.value, stability.written.value, stability.durable.value];
        run.take(each);
        const after = [stability.submitted.value, stability.written.value, stability.durable.value];
        for (const [place, value] of after.entries()) expect(value).toBeGreaterThanOrEqual(before[place] ?? 0);
        await run.check();
      }
      // When all that was reserved is durable nobody waits any more.
      stability.submit(stability.reserved);
      stability.advanceWritten(stability.reserved);
      stability.advanceDurable(stability.reserved);
      await settle();
      expect(run.waiters.every(({ outcomes }) => outcomes.join() === 'reached')).toBe(true);
    }),
    { numRuns: 200 },
  );
});

test('L34: a failure at any moment leaves nobody waiting, and rejects nobody whose target was reached', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const run = new Run();
      for (const each of steps) run.take(each);
      const { stability } = run;
      stability.fail(new Error('the disk'));
      await settle();
      for (const { on, target, outcomes } of run.waiters) {
        expect(outcomes).toHaveLength(1);
        if (outcomes[0] === 'reached') expect(stability[on].value).toBeGreaterThanOrEqual(target);
      }
      expect(stability.durable.reach(stability.durable.value)).toBeUndefined();
      await expect(stability.durable.reach(stability.durable.value + 1)).rejects.toThrow('the disk');
    }),
    { numRuns: 200 },
  );
});
