// Any answers in any order: each event ends once, delivered or as a dead letter, and with one place in order.

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type Answering, DeliveryRig, numbers } from '../../../test/delivery-rig.ts';
import type { Signal } from '../../otlp/signal.ts';
import { SeededRandom } from '../../testing/index.ts';
import type { SinkAnswer } from '../contract/sink.ts';

const plan = fc.record({
  seed: fc.nat(),
  records: fc.array(
    fc.record({
      signal: fc.constantFrom<Signal>('logs', 'logs', 'logs', 'traces', 'metrics'),
      events: fc.integer({ min: 1, max: 12 }),
    }),
    { minLength: 1, maxLength: 40 },
  ),
  concurrency: fc.constantFrom(1, 1, 2, 5),
  maxEvents: fc.integer({ min: 1, max: 60 }),
  maxBytes: fc.integer({ min: 200, max: 20_000 }),
  timeoutMs: fc.constantFrom(0, 5, 500),
  /** A receiver's limit, and how often it fails in other ways. */
  takesBytes: fc.constantFrom(150, 600, 100_000),
  badOneIn: fc.constantFrom(0, 3, 20),
  trouble: fc.constantFrom(0, 0.2, 0.6),
  crashes: fc.constantFrom(0, 0, 3),
  stops: fc.constantFrom(0, 0, 3),
});

function answering(rig: DeliveryRig, random: SeededRandom, given: { takesBytes: number; trouble: number }): Answering {
  return async (batch): Promise<SinkAnswer> => {
    await rig.after(random.between(0, 20));
    if (random.chance(given.trouble)) {
      if (random.chance(0.2)) return { kind: 'blocked', reason: '401' };
      return { kind: 'retryable', reason: '503', ...(random.chance(0.3) ? { afterMs: 50 } : {}) };
    }
    if (batch.byteLength > given.takesBytes) return { kind: 'too_large', reason: '413' };
    return { kind: 'delivered' };
  };
}

it('delivers or buries each event, whatever the sink answers', async () => {
  let ahead = 0; // How often a batch was answered while records for the next one were there.
  await fc.assert(
    fc.asyncProperty(plan, async ({ seed, records, concurrency, maxEvents, maxBytes, timeoutMs, ...given }) => {
      const rig = await DeliveryRig.open({ seed });
      const random = new SeededRandom(seed);
      for (const { signal, events } of records) await rig.append(signal, events);
      const all = numbers(1, rig.next - 1);
      const bad = new Set(all.filter(() => given.badOneIn > 0 && random.int(given.badOneIn) === 0));
      const usual = answering(rig, random, given);
      let crashesLeft = given.crashes;
      let stopsLeft = given.stops;
      const delivered: number[] = [];
      for (;;) {
        rig.sink = rig.newSink();
        rig.sink.answer = async (batch, call) => {
          const answer = await usual(batch, call);
          const { unsettledRecords = 0 } = rig.buffer.stats().cursors[0] ?? {};
          if (concurrency === 1 && unsettledRecords > batch.records.length) ahead += 1;
          if (crashesLeft > 0 && random.chance(0.2)) {
            crashesLeft -= 1;
            throw new Error('crash');
          }
          const isBad = answer.kind === 'delivered' && call.events.some((event) => bad.has(event));
          return isBad ? { kind: 'rejected', reason: 'bad' } : answer;
        };
        const options = { batch: { maxBytes, maxEvents, timeoutMs }, request: { concurrency } };
        const driver = rig.driver(options);
        const running = driver.run();
        let end: string | undefined;
        running.then(
          (how) => {
            end = how;
          },
          () => {
            end = 'crashed';
          },
        );
        let isTold = false;
        if (stopsLeft > 0) {
          stopsLeft -= 1;
          rig.rig.process.clock.setTimer(random.between(0, 100), () => {
            isTold = true;
          });
        }
        await rig.until(() => isTold || end !== undefined || rig.cursor.nextId >= rig.next);
        expect(rig.sink.atOnceMax).toBeLessThanOrEqual(concurrency);
        for (const { batch, events } of rig.sink.calls) {
          expect(batch.records.flatMap((one) => numbers(one.id, one.id + one.events - 1))).toEqual(events);
          if (batch.records.length > 1) expect(batch.events <= maxEvents && batch.byteLength <= maxBytes).toBe(true);
        }
        if (end === undefined) {
          await rig.run(driver.stop({ afterMs: random.pick([0, 10, 1_000]) }));
          await rig.until(() => end !== undefined);
        }
        const now = rig.sink.delivered;
        expect(new Set(now).size).toBe(now.length); // No repeats within a life.
        if (concurrency === 1) expect(now).toEqual([...now].sort((one, other) => one - other));
        delivered.push(...now);
        if (end === 'stopped' && rig.cursor.nextId >= rig.next) break;
      }
      const buried = rig.letters.events;
      const isTooLarge = given.takesBytes < 200;
      expect([...new Set([...delivered, ...buried])].sort((one, other) => one - other)).toEqual(all);
      for (const event of bad) expect(delivered).not.toContain(event);
      if (given.crashes === 0 && given.stops === 0) {
        expect(delivered.length + buried.length).toBe(all.length);
        if (!isTooLarge) expect(buried.sort((one, other) => one - other)).toEqual([...bad]);
      }
      await rig.advance(5_000);
      expect(rig.rig.process.clock.owedCount).toBe(0);
      await rig.run(rig.buffer.close());
    }),
    { numRuns: 120 },
  );
  expect(ahead).toBeGreaterThan(0);
});
