// The writing side under random load on a disk that is slow, full at times, and writes in parts: whoever was called
// settles, nobody waits for ever, and what lies on the disk is what was accepted, byte for byte, in order.
import { expect, test } from 'vitest';
import { byScale, onlyCase, repeatable, seedOr } from '../../test/sweep.ts';
import { bufferDirectory, WritingSide } from '../../test/writing-side.ts';
import { listenToMarks } from '../base/marks.ts';
import { KiB, MiB } from '../base/units.ts';
import { SeededRandom } from '../testing/index.ts';
import { createRecordTable, decodeRecords, frameHeaderBytes, readFrame } from './frame.ts';
import { ledgerBytes } from './ledger-slot.ts';
import type { Durability, WhenFull } from './limits.ts';

const durabilities: readonly Durability[] = ['memory', 'os', 'interval', 'sync'];
const policies: readonly WhenFull[] = ['block', 'drop_newest', 'drop_oldest', 'reject'];

interface Accepted {
  readonly id: number;
  readonly events: number;
  readonly payload: Uint8Array;
}

/** What was taken into the log, in the order of the calls: ids are given at once, so a copy here is the model. */
class Load {
  readonly side: WritingSide;
  readonly random: SeededRandom;
  readonly stored: Accepted[] = [];
  readonly pending = new Set<string>();
  readonly problems: unknown[] = [];
  freedId = 1;
  watching = 0;

  constructor(seed: number) {
    this.random = new SeededRandom(`load ${seed}`);
    const durability = this.random.pick(durabilities);
    const whenFull = this.random.pick(policies);
    const maxBytes = this.random.pick([1 * MiB, 2 * MiB, 16 * MiB]);
    const maxUnsyncedBytes = this.random.pick([64 * KiB, 16 * MiB]);
    this.side = new WritingSide({ seed, limits: { durability, whenFull, maxBytes, maxUnsyncedBytes } });
  }

  payload(): Uint8Array {
    const kind = this.random.int(10);
    const largest = this.side.limits.maxRecordBytes - 12;
    const length = kind === 0 ? this.random.int(largest + 1) : this.random.int(kind < 4 ? 10_000 : 300);
    return new Uint8Array(length).fill(this.random.int(256));
  }

  /** One call of a user, at random. */
  act(): void {
    const { side, random } = this;
    const events = random.chance(0.9) ? random.between(1, 5) : random.between(1, 2 ** 24);
    const payload = this.payload();
    switch (random.int(9)) {
      case 0:
      case 1:
        this.#expect('append', side.writer.append({ payload, events }), [{ payload, events }]);
        break;
      case 2:
      case 3:
      case 4: {
        const id = side.log.nextId;
        if (side.committer.state.kind === 'failed') break; // It would throw.
        if (side.writer.tryAppend(payload, events, 0) === 'accepted') this.stored.push({ id, events, payload });
        break;
      }
      case 5: {
        const one = { payload: payload.subarray(0, 1000), events };
        const batch = Array.from({ length: random.between(1, 4) }, () => one);
        this.#expect('batch', side.writer.appendBatch(batch), batch);
        break;
      }
      case 6:
        this.#expect('commit', side.committer.reachDurable(side.log.nextId) ?? Promise.resolve(), []);
        break;
      case 7:
        this.#expect('ready', side.writer.ready(), []);
        break;
      default:
        this.watching += this.watching === 0 ? 1 : -1;
        if (this.watching === 1) side.committer.watch();
        else side.committer.unwatch();
    }
  }

  /** The oldest segment is acknowledged by everybody and freed. */
  async free(): Promise<void> {
    const [first, second] = this.side.catalog.segments;
    if (first?.complete !== true || second?.header === undefined) return;
    this.freedId = second.header.firstId;
    await this.side.freeFirst();
  }

  check(): void {
    const { side } = this;
    if (this.problems.length > 0) throw this.problems[0];
    expect(side.disk.bytesBelow(bufferDirectory) + ledgerBytes).toBeLessThanOrEqual(side.limits.maxBytes);
    if (side.limits.durability !== 'interval') return;
    const one = Math.max(
      side.limits.maxUnsyncedBytes,
      side.limits.maxRecordBytes + 4096 + 64,
      side.limits.slotBytes + 4144,
    );
    expect(side.files.unsyncedBytes).toBeLessThanOrEqual(one);
  }

  /** What lies on the disk now, decoded. */
  onDisk(): Accepted[] {
    const table = createRecordTable();
    const found: Accepted[] = [];
    for (const { path, header } of this.side.catalog.segments) {
      const bytes = this.side.disk.bytesOf(path);
      const view = new DataView(bytes.buffer);
      for (let at = 4096; at < bytes.length; ) {
        const reading = readFrame(bytes, view, at, bytes.length, header?.salt ?? 0);
        if (reading.kind !== 'frame') throw new Error(`no frame at ${at} of ${path}: ${reading.kind}`);
        decodeRecords(view, at + frameHeaderBytes, reading.frame.recordCount, table);
        let id = reading.frame.firstId;
        for (let record = 0; record < table.recordCount; record++) {
          const start = table.payloadOffsets[record] as number;
          const events = table.events[record] as number;
          found.push({ id, events, payload: bytes.subarray(start, start + (table.payloadLengths[record] as number)) });
          id += events;
        }
        at += reading.frame.byteLength;
      }
    }
    return found;
  }

  #expect(what: string, promise: Promise<unknown>, records: readonly { payload: Uint8Array; events: number }[]): void {
    const name = `${what} at step ${this.side.world.stepCount}, ${this.pending.size}`;
    this.pending.add(name);
    promise
      .then((result) => {
        let id = (result as { recordId?: number } | undefined)?.recordId;
        if (id === undefined) return;
        for (const { payload, events } of records) {
          this.stored.push({ id, events, payload });
          id += events;
        }
      })
      .catch((cause: { kind?: string; operation?: string }) => {
        const refused = this.side.limits.whenFull === 'reject' && cause.operation === 'append';
        if (!refused) this.problems.push(cause);
      })
      .finally(() => this.pending.delete(name));
  }
}

async function runLoad(seed: number): Promise<void> {
  const load = new Load(seed);
  const { side, random } = load;
  for (let step = 0; step < 300; step++) {
    if (random.chance(0.02)) {
      const { faults } = side.disk;
      faults.chances = random.chance(0.5) ? {} : { noSpace: random.pick([0, 0.3, 1]), shortWrite: 0.3, slow: 0.1 };
    }
    for (let calls = random.int(4); calls > 0; calls--) load.act();
    for (let turns = random.int(3); turns > 0; turns--) await side.world.step();
    if (random.chance(0.05)) await load.free();
    load.check();
  }
  side.disk.heal();
  for (let turn = 0; turn < 1000 && load.pending.size > 0; turn++) {
    await side.world.advance(10_000);
    if (load.pending.size > 0) await load.free();
    load.check();
  }
  expect([...load.pending]).toEqual([]);
  await side.run(side.committer.reachDurable(side.log.nextId) ?? Promise.resolve());
  await side.world.drain();
  expect(side.process.clock.owedCount).toBe(0);
  const kept = load.stored.filter(({ id }) => id >= load.freedId).sort((one, other) => one.id - other.id);
  const found = load.onDisk();
  expect(found.map(({ id }) => id)).toEqual(kept.map(({ id }) => id));
  for (const [place, { payload }] of found.entries()) {
    expect(Buffer.compare(payload, kept[place]?.payload ?? new Uint8Array(0))).toBe(0);
  }
  expect(side.space.usedBytes).toBe(side.disk.bytesBelow(bufferDirectory) + (side.log.segment === undefined ? 0 : 48));
}

test('random load on a difficult disk', async () => {
  const first = seedOr(1);
  const count = byScale({ sample: 25, full: 3000 });
  const only = onlyCase();
  const marks = new Set<string>();
  const deaf = listenToMarks((mark) => marks.add(mark));
  for (let number = 0; number < count; number++) {
    if (only !== undefined && number !== only) continue;
    const what = { file: import.meta.filename, name: 'random load on a difficult disk', seed: first, case: number };
    await repeatable(what, () => runLoad(first * 100_000 + number));
  }
  deaf();
  if (only !== undefined) return;
  for (const mark of ['committer.stalled', 'committer.resumed', 'writer.full', 'writer.rolled']) {
    expect(marks).toContain(mark);
  }
});

/** A disk that breaks at a drawn moment: everybody is told, with one cause, and what was promised would survive. */
async function runToFailure(seed: number): Promise<void> {
  const load = new Load(seed);
  const { side, random } = load;
  const breaksAt = random.int(150);
  const operation = random.pick(['write', 'sync', 'sync directory', 'create'] as const);
  for (let step = 0; step < 300 && side.committer.state.kind !== 'failed'; step++) {
    if (step === breaksAt) side.disk.faults.inject({ fault: 'EIO', operation });
    for (let calls = random.int(4); calls > 0; calls--) load.act();
    for (let turns = random.int(3); turns > 0; turns--) await side.world.step();
  }
  if (side.committer.state.kind === 'open') side.writer.append({ payload: load.payload() }).catch(() => undefined);
  await side.world.advance(10_000);
  const { state } = side.committer;
  if (state.kind !== 'failed') return; // Full, or the call that fails never came: the other test's business.
  expect([...load.pending]).toEqual([]);
  for (const problem of load.problems) expect(problem).toBe(state.cause);
  expect(side.told.failed).toHaveLength(1);
  await side.run(side.committer.close(new Error('closed')));
  await side.world.drain();
  expect(side.process.clock.owedCount).toBe(0);
  expect(side.disk.openFileCount(side.process)).toBe(0);
  const { segment, offset, nextId } = side.committer.durable;
  expect(nextId).toBe(side.stability.durable.value);
  for (const { number, path, byteLength } of side.catalog.segments) {
    if (number > segment) continue;
    expect(side.disk.wouldSurvive(path, 0, number === segment ? offset : byteLength)).toBe(true);
  }
}

test('random load until the disk breaks', async () => {
  const first = seedOr(1);
  const count = byScale({ sample: 40, full: 4000 });
  const only = onlyCase();
  let failures = 0;
  const deaf = listenToMarks((mark) => {
    if (mark === 'committer.failed') failures += 1;
  });
  for (let number = 0; number < count; number++) {
    if (only !== undefined && number !== only) continue;
    const what = { file: import.meta.filename, name: 'random load until the disk breaks', seed: first, case: number };
    await repeatable(what, () => runToFailure(first * 100_000 + number));
  }
  deaf();
  if (only === undefined) expect(failures).toBeGreaterThan(count / 2);
});
