// A buffer whose disk rots while it lives: bits turn, sectors fail, ledgers and segments go, processes die in between.
//
// Whatever is damaged: every start succeeds, what is delivered was appended under that very key, and what was delivered
// and what was lost add up to what the cursor has passed.

import { expect, it } from 'vitest';
import { BufferRig, bufferPath, bytesOf, listenToLosses, textOf } from '../../test/buffer-rig.ts';
import { byScale, onlyCase, repeatable, seedOr } from '../../test/sweep.ts';
import { SeededRandom } from '../testing/index.ts';
import type { DiskBuffer } from './disk-buffer.ts';
import type { Cursor } from './ordered-finalizer-cursor.ts';

class Life {
  readonly rig: BufferRig;
  readonly draws: SeededRandom;
  /** Every record that was stored, by key. */
  readonly stored = new Map<string, string>();
  counter = 0;

  constructor(seed: number) {
    this.rig = new BufferRig({ seed });
    this.draws = new SeededRandom(seed).fork('life');
  }

  /** One process: opens, appends, reads, and ends in one of several ways. */
  async run(round: number): Promise<void> {
    const { rig, draws } = this;
    const buffer = await rig.open({ cursors: ['default', 'second'], whenFull: 'drop_newest' });
    const losses = listenToLosses(buffer);
    const cursors = ['default', 'second'].map((name) => buffer.cursor(name));
    const starts = cursors.map(({ nextId }) => nextId);
    const delivered = cursors.map(() => 0);
    for (let turn = draws.between(1, 6); turn > 0; turn--) {
      await this.append(buffer);
      for (const [at, cursor] of cursors.entries()) {
        if (draws.chance(0.7)) delivered[at] = (delivered[at] ?? 0) + (await this.read(cursor, round));
      }
      buffer.recount();
    }
    for (const [at, cursor] of cursors.entries()) {
      const lost = losses.reduce((sum, loss) => sum + (loss.cursor === cursor.name ? loss.events : 0), 0);
      expect([cursor.name, (delivered[at] ?? 0) + lost]).toEqual([cursor.name, cursor.nextId - (starts[at] ?? 0)]);
    }
    if (draws.chance(0.4)) await rig.run(buffer.close());
    else if (draws.chance(0.5)) rig.kill();
    else rig.crash('random');
  }

  async append(buffer: DiskBuffer): Promise<void> {
    const { rig, draws, stored } = this;
    const { uuid, epoch } = buffer.stats();
    const pending: Promise<void>[] = [];
    for (let count = draws.between(0, 8); count > 0; count--) {
      const text = `${this.counter++} `.padEnd(draws.pick([1, 10, 300, 5_000, 40_000]), 'x');
      const events = draws.between(1, 3);
      const append = buffer.append(bytesOf(text), { events }).then((result) => {
        if (result.status !== 'stored') return;
        stored.set(`${uuid}/${epoch}-${result.recordId}`, text);
      });
      pending.push(append);
      if (draws.chance(0.5)) await rig.run(append);
    }
    await rig.run(Promise.all(pending));
  }

  /** Reads and acknowledges what is there now; the tries that a block that cannot be read is given are no failures. */
  async read(cursor: Cursor, round: number): Promise<number> {
    const { rig, stored, draws } = this;
    let events = 0;
    const endId = cursor.nextId + draws.between(1, 60);
    for (let failures = 0; cursor.nextId < endId; ) {
      const stop = new AbortController();
      const answer = cursor
        .read({ maxRecords: draws.between(1, 9), signal: stop.signal })
        .catch((cause: unknown) => cause);
      if ((await rig.within(2_000, answer)) === 'pending') {
        stop.abort(new Error('caught up'));
        await rig.run(answer);
        return events;
      }
      const delivery = (await answer) as Awaited<ReturnType<Cursor['read']>> | Error;
      if (delivery === undefined) throw new Error('the cursor is closed');
      if (delivery instanceof Error) {
        expect(delivery).toMatchObject({ kind: 'io' });
        failures += 1;
        if (failures > 200) throw delivery;
        continue;
      }
      for (const { key, payload, events: count } of delivery.records) {
        expect([round, key, stored.get(key)]).toEqual([round, key, textOf(payload)]);
        events += count;
      }
      delivery.ack();
    }
    return events;
  }

  /** Between two processes, or under a running one. */
  rot(): void {
    const { rig, draws } = this;
    const names = [...rig.segments(), 'ledger'].filter((name) => rig.names().includes(name));
    const name = draws.pick(names);
    const bytes = rig.bytes(name);
    const place = draws.between(0, Math.max(0, bytes.length - 1));
    switch (draws.pick(['flip', 'flip', 'sector', 'cut', 'zeros', 'lost'] as const)) {
      case 'flip':
        if (bytes.length > 0) rig.disk.flipBits(`${bufferPath}/${name}`, place, 1 << draws.between(0, 7));
        return;
      case 'sector':
        // One copy of a header stays readable: with none and without a ledger, nobody could say whose segment it is.
        if (place >= 4096 || place < 512) rig.disk.failReads(`${bufferPath}/${name}`, place, place + 1);
        return;
      case 'cut':
        rig.plant(name, bytes.slice(0, place));
        return;
      case 'zeros':
        rig.plant(name, Uint8Array.from(bytes).fill(0, place, place + draws.between(1, 2_000)));
        return;
      case 'lost':
        rig.plant('ledger', new Uint8Array(0));
    }
  }
}

const name = 'starts, adds up, and invents nothing, however the disk rots';
it(name, async () => {
  const seeds = byScale({ sample: 25, full: 2_000 });
  const first = seedOr(1);
  const only = onlyCase();
  for (let number = 0; number < seeds; number++) {
    if (only !== undefined && number !== only) continue;
    await repeatable({ file: import.meta.filename, name, seed: first, case: number }, async () => {
      const life = new Life(first * 100_000 + number);
      for (let round = 0; round < 6; round++) {
        await life.run(round);
        for (let rots = life.draws.pick([0, 0, 1, 1, 2, 4]); rots > 0; rots--) life.rot();
      }
      await life.run(6);
    });
  }
});
