// A buffer whose disk rots while it lives: bits turn, sectors fail, ledgers and segments go, processes die in between.
//
// Whatever is damaged: every start succeeds, what is delivered was appended under that very key, and what became of all
// events adds up to what each cursor has passed.

import { expect, it } from 'vitest';
import { BufferRig, bufferPath, bytesOf, listenToLosses, textOf } from '../../test/buffer-rig.ts';
import { byScale, onlyCase, repeatable, seedOr } from '../../test/sweep.ts';
import { listenToMarks } from '../base/marks.ts';
import { SeededRandom } from '../testing/index.ts';
import type { DiskBuffer } from './disk-buffer.ts';
import type { Cursor } from './ordered-finalizer-cursor.ts';
import type { Delivery, RecordResult } from './ordered-finalizer-delivery.ts';

type Rot = 'flip' | 'sector' | 'cut' | 'zeros' | 'lost';
const allRots: readonly Rot[] = ['flip', 'flip', 'sector', 'cut', 'zeros', 'lost'];

class Life {
  readonly rig: BufferRig;
  readonly draws: SeededRandom;
  /** The key of every record that was stored, by its text, which no other one has. */
  readonly stored = new Map<string, string>();
  /** A header was made anew from its frames: what it said of buffer and epoch may be lost, and with it half a key. */
  rebuilt = false;
  counter = 0;

  constructor(seed: number) {
    this.rig = new BufferRig({ seed });
    this.draws = new SeededRandom(seed).fork('life');
  }

  /** One process: opens, appends, reads, and ends in one of several ways. */
  async run(round: number): Promise<void> {
    const { rig, draws } = this;
    const buffer = await rig.open({
      cursors: ['default', 'second'],
      durability: draws.pick(['sync', 'sync', 'interval', 'os', 'memory']),
      whenFull: draws.pick(['drop_newest', 'drop_oldest']),
      closeTimeoutMs: 100,
    });
    const losses = listenToLosses(buffer);
    const cursors = ['default', 'second'].map((name) => buffer.cursor(name));
    const starts = cursors.map(({ nextId }) => nextId);
    for (let turn = draws.between(1, 6); turn > 0; turn--) {
      await this.append(buffer);
      if (draws.chance(0.2)) this.rot(['flip', 'sector']);
      for (const cursor of cursors) if (draws.chance(0.7)) await this.read(cursor, round);
      await this.comeAndGo(buffer, round);
      buffer.recount();
    }
    for (const [at, { name: cursor, nextId, counters }] of cursors.entries()) {
      const settled = Object.values(counters).reduce((sum, { events }) => sum + events, 0);
      expect([cursor, settled]).toEqual([cursor, nextId - (starts[at] ?? 0)]);
      const missing = counters.damaged.events + counters.unconfirmed.events;
      const told = losses.filter((lost) => lost.cursor === cursor && lost.reason !== 'dropped_oldest');
      expect(told.reduce((sum, { events }) => sum + events, 0)).toBeGreaterThanOrEqual(missing);
    }
    if (draws.chance(0.4)) await rig.run(buffer.close());
    else if (draws.chance(0.5)) rig.kill();
    else rig.crash('random');
  }

  /** A cursor that is not required is added, reads, stays for later lives, or is removed. */
  async comeAndGo(buffer: DiskBuffer, round: number): Promise<void> {
    const { rig, draws } = this;
    const isThere = buffer.stats().cursors.some(({ name }) => name === 'late');
    const step = draws.pick(['nothing', 'nothing', 'nothing', 'come', 'go'] as const);
    if (step === 'come') await this.read(buffer.cursor('late', { from: draws.pick(['oldest', 'newest']) }), round);
    if (step === 'go' && isThere) await rig.run(buffer.removeCursor('late'));
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
        stored.set(text, `${uuid}/${epoch}-${result.recordId}`);
      });
      pending.push(append);
      if (draws.chance(0.5)) await rig.run(append);
    }
    await rig.run(Promise.all(pending));
  }

  /** Reads and settles what is there now; the tries that a block that cannot be read is given are no failures. */
  async read(cursor: Cursor, round: number): Promise<void> {
    const { rig, stored, draws } = this;
    const endId = cursor.nextId + draws.between(1, 60);
    for (let failures = 0; cursor.nextId < endId; ) {
      const stop = new AbortController();
      const options = { maxRecords: draws.between(1, 9), signal: stop.signal };
      const answer = cursor.read(options).catch((cause: unknown) => cause);
      if ((await rig.within(2_000, answer)) === 'pending') {
        stop.abort(new Error('caught up'));
        await rig.run(answer);
        return;
      }
      const delivery = (await answer) as Delivery | Error | undefined;
      if (delivery === undefined) throw new Error('the cursor is closed');
      if (delivery instanceof Error) {
        expect(delivery).toMatchObject({ kind: 'io' });
        failures += 1;
        if (failures > 200) throw delivery;
        continue;
      }
      for (const { key, payload } of delivery.records) {
        const known = (whole: string | undefined) => (this.rebuilt ? whole?.replace(/.*-/, '') : whole);
        expect([round, known(key)]).toEqual([round, known(stored.get(textOf(payload)))]);
      }
      const settle = (): RecordResult => draws.pick(['ack', 'ack', 'ack', { reject: 'no' }, { retry: 10 }] as const);
      if (draws.chance(0.5)) delivery.settle(delivery.records.map(settle));
      else if (draws.chance(0.9)) delivery.ack();
      else return; // Held for ever.
    }
  }

  /** Between two processes, or under a running one. */
  rot(kinds: readonly Rot[]): void {
    const { rig, draws } = this;
    const names = [...rig.segments(), 'ledger'].filter((name) => rig.names().includes(name));
    const name = draws.pick(names);
    const bytes = rig.bytes(name);
    const place = draws.between(0, Math.max(0, bytes.length - 1));
    switch (draws.pick(kinds)) {
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
  const seeds = byScale({ sample: 15, full: 2_000 });
  const first = seedOr(1);
  const only = onlyCase();
  for (let number = 0; number < seeds; number++) {
    if (only !== undefined && number !== only) continue;
    await repeatable({ file: import.meta.filename, name, seed: first, case: number }, async () => {
      const life = new Life(first * 100_000 + number);
      listenToMarks((mark) => {
        life.rebuilt ||= mark === 'segment.rebuilt';
      });
      for (let round = 0; round < 6; round++) {
        await life.run(round);
        for (let rots = life.draws.pick([0, 0, 1, 1, 2, 4]); rots > 0; rots--) life.rot(allRots);
      }
      await life.run(6);
    });
  }
});
