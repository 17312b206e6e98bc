// A small directory with one thing wrong with it, for every thing that can be wrong: each byte turned over, each file
// cut at each length, each sector zeroed or full of something else. It always starts, loses at most what was touched,
// counts what it lost, delivers nothing that was never written, and goes on working.

import { beforeAll, describe, expect, it } from 'vitest';
import { BufferRig, framesIn, listenToLosses, type Seen, segmentName } from '../../test/buffer-rig.ts';
import { chance, concat } from '../../test/segment-bytes.ts';
import { byScale, onlyCase, repeatable } from '../../test/sweep.ts';

type Change =
  | { readonly kind: 'flip'; readonly at: number }
  | { readonly kind: 'cut'; readonly at: number }
  | { readonly kind: 'zero' | 'garbage'; readonly at: number; readonly byteLength: number };

interface Base {
  readonly rig: BufferRig;
  readonly closed: boolean;
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly records: readonly Seen[];
}

const texts = ['a', 'bb', 'ccc', 'dddd', 'eeeee', 'ffffff', 'ggggggg', 'hhhhhhhh', 'iiiiiiiii'];
const eventsOf = (at: number): number => (at % 3 === 2 ? 3 : 1);
/** Everything below this id is acknowledged; the id of the last record, and the next one. */
const acknowledged = 3;
const lastId = 13;
const endId = 16;

/** Three segments, the first two records acknowledged; closed, or killed with the last segment beyond the ledger. */
async function makeBase(ending: 'closed' | 'killed'): Promise<Base> {
  const rig = new BufferRig();
  for (const first of [0, 3, 6]) {
    const buffer = await rig.open();
    if (first === 6) (await rig.read(buffer.cursor('default'), { maxRecords: 2 })).ack();
    if (ending === 'killed') await rig.world.advance(500);
    for (let at = first; at < first + 3; at++) {
      await rig.run(buffer.append(new TextEncoder().encode(texts[at]), { events: eventsOf(at) }));
    }
    if (first < 6 || ending === 'closed') await rig.close(buffer);
  }
  rig.crash('all');
  const files = new Map([...rig.segments(), 'ledger'].map((name) => [name, rig.bytes(name)]));
  const copy = rig.copy();
  const buffer = await copy.open();
  const records = await copy.readTo(buffer.cursor('all'), endId);
  return { rig, closed: ending === 'closed', files, records };
}

let bases: readonly Base[];

beforeAll(async () => {
  bases = [await makeBase('closed'), await makeBase('killed')];
});

function changesOf(bytes: Uint8Array): Change[] {
  const changes: Change[] = [];
  for (let at = 0; at < bytes.length; at++) changes.push({ kind: 'flip', at }, { kind: 'cut', at });
  for (const byteLength of [512, 4096]) {
    for (let at = 0; at < bytes.length; at += byteLength) {
      changes.push({ kind: 'zero', at, byteLength }, { kind: 'garbage', at, byteLength });
    }
  }
  return changes;
}

function changed(bytes: Uint8Array, change: Change, draw: () => number): Uint8Array {
  if (change.kind === 'cut') return bytes.slice(0, change.at);
  const copy = Uint8Array.from(bytes);
  const end = change.kind === 'flip' ? change.at + 1 : Math.min(bytes.length, change.at + change.byteLength);
  for (let at = change.at; at < end; at++) {
    if (change.kind === 'flip') copy[at] = (copy[at] as number) ^ (1 << Math.floor(draw() * 8));
    else copy[at] = change.kind === 'zero' ? 0 : Math.floor(draw() * 256);
  }
  return copy;
}

/** Ids of the records whose frames the change touches. */
function touched(bytes: Uint8Array, change: Change): Set<number> {
  const end =
    change.kind === 'cut' ? Number.POSITIVE_INFINITY : change.at + (change.kind === 'flip' ? 1 : change.byteLength);
  const frames = framesIn(bytes).filter(({ offset, byteLength }) => offset < end && offset + byteLength > change.at);
  return new Set(frames.map(({ firstId }) => firstId));
}

const eventsIn = (counts: readonly { readonly events: number }[]): number =>
  counts.reduce((sum, { events }) => sum + events, 0);

/** Both copies of the last header are lost: its epoch is, too. Then a key may repeat under another epoch. */
const losesEpoch = (file: string, change: Change): boolean =>
  file === segmentName(3) &&
  (change.kind === 'zero' || change.kind === 'garbage') &&
  change.byteLength === 4096 &&
  change.at === 0;

async function expectRecovery(
  base: Base,
  changes: ReadonlyMap<string, Uint8Array>,
  mayLose: Set<number>,
  comparable: (record: Seen) => object = (record) => record,
): Promise<void> {
  const rig = base.rig.copy();
  for (const [name, bytes] of changes) rig.plant(name, bytes);
  const buffer = await rig.open();
  const losses = listenToLosses(buffer);
  await rig.until(() => buffer.stats().state === 'open');
  const cursor = buffer.cursor('default');
  const startId = cursor.nextId;
  expect(startId).toBeLessThanOrEqual(acknowledged);
  const [newId = 0] = await rig.append(buffer, 'new');
  const seen = await rig.readTo(cursor, newId + 1);
  expect(seen.at(-1)).toMatchObject({ id: newId, text: 'new' });
  const before = seen.slice(0, -1);
  for (const record of before) expect(base.records.map(comparable)).toContainEqual(comparable(record));
  const ids = before.map(({ id }) => id);
  expect(ids).toEqual([...new Set(ids)].sort((one, other) => one - other));
  const missing = base.records.filter(({ id }) => id >= acknowledged && !ids.includes(id));
  expect(missing.filter(({ id }) => !mayLose.has(id))).toEqual([]);
  expect(eventsIn(seen) + eventsIn(losses)).toBe(newId + 1 - startId);
  const isBounded = base.closed || !mayLose.has(lastId);
  if (isBounded) expect(newId).toBe(endId);
  buffer.recount();
  await rig.close(buffer);
  const again = await rig.open();
  expect(again.stats()).toMatchObject({ epoch: buffer.stats().epoch, backlog: { events: 0 } });
  again.recount();
}

describe('one thing wrong', () => {
  const name = 'loses at most the touched frames, counts them, and goes on';
  it(name, async () => {
    const cases = bases.flatMap((base) =>
      [...base.files].flatMap(([file, bytes]) => changesOf(bytes).map((change) => ({ base, file, bytes, change }))),
    );
    const step = byScale({ sample: 307, full: 1 });
    const only = onlyCase();
    for (const [number, { base, file, bytes, change }] of cases.entries()) {
      if (only === undefined ? number % step !== 0 : number !== only) continue;
      await repeatable({ file: import.meta.filename, name, case: number }, async () => {
        const mayLose = file === 'ledger' ? new Set<number>() : touched(bytes, change);
        const withoutKey = ({ id, events, text }: Seen): object => ({ id, events, text });
        const comparable = losesEpoch(file, change) ? withoutKey : undefined;
        await expectRecovery(base, new Map([[file, changed(bytes, change, chance(number))]]), mayLose, comparable);
      });
    }
  });
});

describe('something that does not belong there', () => {
  const none = new Set<number>();

  it.each([0, 2, 4, 77])('a file of garbage named like segment %i', async (number) => {
    for (const base of bases) {
      const draw = chance(number);
      for (const length of [0, 1, 100, 4095, 4096, 5_000, 20_000]) {
        const bytes = Uint8Array.from({ length }, () => Math.floor(draw() * 256));
        const mayLose =
          number === 2 ? touched(base.files.get(segmentName(2)) as Uint8Array, { kind: 'cut', at: 0 }) : none;
        await expectRecovery(base, new Map([[segmentName(number), bytes]]), mayLose);
      }
    }
  });

  it('a copy of another segment, as a whole or its frames alone', async () => {
    for (const base of bases) {
      const [first, second, third] = [1, 2, 3].map((number) => base.files.get(segmentName(number)) as Uint8Array);
      const all = (bytes: Uint8Array): Set<number> => touched(bytes, { kind: 'cut', at: 0 });
      await expectRecovery(base, new Map([[segmentName(4), first as Uint8Array]]), none);
      await expectRecovery(base, new Map([[segmentName(0), third as Uint8Array]]), none);
      await expectRecovery(base, new Map([[segmentName(2), third as Uint8Array]]), all(second as Uint8Array));
      for (const number of [1, 2, 3]) {
        const own = base.files.get(segmentName(number)) as Uint8Array;
        const frames = (base.files.get(segmentName((number % 3) + 1)) as Uint8Array).subarray(4096);
        await expectRecovery(base, new Map([[segmentName(number), concat(own, frames)]]), none);
        const behindHeader = concat(own.subarray(0, 4096), frames, own.subarray(4096));
        await expectRecovery(base, new Map([[segmentName(number), behindHeader]]), none);
      }
    }
  });

  it('directories and files of any other name', async () => {
    for (const base of bases) {
      for (const name of ['segment', '1.seg', 'spare-1.seg', 'ledger.bak', '.hidden', '00000000000000001.seg']) {
        await expectRecovery(base, new Map([[name, new Uint8Array(5_000).fill(7)]]), none);
      }
    }
  });
});
