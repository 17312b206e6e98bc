// The process dies in the middle, again and again, with its buffer and its dead letters on a disk that loses what was
// not synced: nothing that was accepted is lost, and what comes twice is no more than what the ledger did not know.

import { describe, expect, it } from 'vitest';
import { textOf } from '../../../test/buffer-rig.ts';
import { DeliveryRig, numbers, simHostFiles } from '../../../test/delivery-rig.ts';
import { markersIn } from '../../testing/otlp-samples.ts';
import { DeadLetters } from './dead-letters.ts';

const lettersPath = '/data/letters.jsonl';
/** The ledger is published every 100 ms, which takes a few calls of the disk. */
const longMs = 150;
const eventsMax = 6;
const seeds = numbers(1, 10);

function lettersOn(rig: DeliveryRig): string[] {
  if (!rig.rig.disk.paths().includes(lettersPath)) return [];
  return textOf(rig.rig.disk.bytesOf(lettersPath)).split('\n');
}

function buriedOn(rig: DeliveryRig): number[] {
  return lettersOn(rig).flatMap((line) => markersIn(line).map((marker) => Number(marker.slice('event-'.length))));
}

describe.each(seeds)('lives that end in a power cut (seed %i)', (seed) => {
  it('lose nothing that was accepted', async () => {
    const rig = await DeliveryRig.open({ seed, buffer: { durability: 'sync' } });
    const random = rig.rig.world.random.fork('plan');
    const delivered: number[] = [];
    let passedId = 1; // What a life passed long enough before its end: no later life may see it again.
    for (let life = 1; life <= 6; life++) {
      expect(rig.cursor.nextId).toBeGreaterThanOrEqual(passedId);
      const passed: { readonly atMs: number; readonly nextId: number }[] = [];
      rig.sink = rig.newSink();
      rig.sink.answer = async (batch, { events, number }) => {
        await rig.after(random.between(0, 30));
        passed.push({ atMs: rig.rig.world.timeMs, nextId: rig.cursor.nextId });
        if (number % 5 === 0) return { kind: 'retryable', reason: 'away' };
        if (batch.byteLength > 2_000) return { kind: 'too_large', reason: '413' };
        return events.some((event) => event % 17 === 0) ? { kind: 'rejected', reason: 'bad' } : { kind: 'delivered' };
      };
      const concurrency = random.pick([1, 3]);
      const { clock, fileSystem } = rig.rig.process;
      const world = { clock, files: simHostFiles(fileSystem) };
      const deadLetters = new DeadLetters({ path: lettersPath, maxBytes: 1_000_000, sink: 'archive', world });
      const driver = rig.driver({
        deadLetters,
        batch: { maxEvents: 20 },
        request: { concurrency },
      });
      driver.run().catch(() => undefined);
      await rig.append('logs', ...Array.from({ length: 15 }, () => random.between(1, eventsMax)));
      if (life < 6) await rig.advance(random.between(0, 400));
      else await rig.drained();
      const now = rig.sink.delivered;
      expect(new Set(now).size).toBe(now.length);
      expect(Math.min(...now)).toBeGreaterThanOrEqual(passedId);
      // With one place nothing is ahead of the cursor but parts of the record that is at the sink.
      const ahead = now.filter((event) => event >= rig.cursor.nextId).length;
      if (concurrency === 1) expect(ahead).toBeLessThan(eventsMax);
      const long = rig.rig.world.timeMs - longMs;
      passedId = passed.reduce((id, { atMs, nextId }) => (atMs <= long ? nextId : id), passedId);
      delivered.push(...now);
      if (life === 6) break;
      rig.rig.crash(random.pick(['all', 'none', 'random']));
      await rig.reopen({ durability: 'sync' });
    }
    const all = numbers(1, rig.next - 1);
    const buried = buriedOn(rig);
    expect([...new Set([...delivered, ...buried])].sort((one, other) => one - other)).toEqual(all);
    expect(new Set(buried)).toEqual(new Set(all.filter((event) => event % 17 === 0)));
    // A line that a crash has cut is alone on its line.
    for (const line of lettersOn(rig).slice(0, -1)) if (line.endsWith('}')) JSON.parse(line);
  });
});
