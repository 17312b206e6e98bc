import { describe, expect, it } from 'vitest';
import {
  concat,
  failedRead,
  frameOf,
  headerRoom,
  MemoryFile,
  naiveWalk,
  payloadOf,
  resign,
  segmentOf,
  simpleFrame,
  type Told,
  tell,
  walkAll,
} from '../../test/segment-bytes.ts';
import { byScale } from '../../test/sweep.ts';
import { MiB } from '../base/units.ts';
import { SegmentWalk } from './segment-walk.ts';

const marker = 0xc0de_5eed;
const from = headerRoom;

type Options = Partial<ConstructorParameters<typeof SegmentWalk>[0]>;

function walkOf(file: MemoryFile, options: Options = {}): SegmentWalk {
  const end = file.bytes.length;
  return new SegmentWalk({ file, marker, alignment: 8, from, end, unreadable: 'reject', ...options });
}

async function told(bytes: Uint8Array, options: Options = {}): Promise<Told[]> {
  return await walkAll(walkOf(new MemoryFile(bytes), options));
}

/** Three frames of different lengths, and where each begins. */
const three = [simpleFrame(marker, 1, 20), simpleFrame(marker, 2, 5), simpleFrame(marker, 3, 56)] as const;
/** Their lengths without the padding to 8, which the checksum does not cover. */
const bareLengths = [80, 68, 116] as const;
const segment = segmentOf(...three);
const starts = [from, from + three[0].length, from + three[0].length + three[1].length] as const;
const framesTold: readonly Told[] = three.map((frame, place) => ({
  frame: starts[place] ?? 0,
  firstId: place + 1,
  nextId: place + 2,
  byteLength: frame.length,
}));
const [first, second, third] = framesTold as [Told, Told, Told];

describe('a walk over whole frames', () => {
  it('gives each frame with its bytes, then the end, again and again', async () => {
    const walk = walkOf(new MemoryFile(segment));
    expect(walk.next()).toEqual({ kind: 'load' });
    await walk.load();
    for (const [place, frame] of three.entries()) {
      expect(walk.offset).toBe(starts[place]);
      const step = walk.next();
      if (step.kind !== 'frame') throw new Error(step.kind);
      expect(step.bytes.slice(step.start, step.start + frame.length)).toEqual(frame);
      expect(step.view.getUint32(step.start, true)).toBe(marker);
    }
    for (let time = 0; time < 3; time++) {
      expect(walk.next()).toEqual({ kind: 'end', offset: segment.length, tail: 'none' });
    }
  });

  it('loads nothing that was not asked for', async () => {
    const file = new MemoryFile(segment);
    const walk = walkOf(file);
    await walk.load();
    expect(file.reads).toBe(0);
  });

  it('knows an empty segment, and one without even a header', async () => {
    expect(await told(segmentOf())).toEqual([{ end: from, tail: 'none' }]);
    expect(await told(segmentOf(), { end: 100_000 })).toEqual([{ end: from, tail: 'none' }]);
    expect(await told(new Uint8Array(100), { end: 100 })).toEqual([{ end: from, tail: 'none' }]);
  });

  it('tells by the tail whether anything was there', async () => {
    expect(await told(concat(segment, new Uint8Array(5000)))).toEqual([
      ...framesTold,
      { end: segment.length, tail: 'zeros' },
    ]);
    expect(await told(concat(segment, new Uint8Array(5000), Uint8Array.of(1)))).toEqual([
      ...framesTold,
      { end: segment.length, tail: 'bytes' },
    ]);
  });

  it('takes a last frame whose padding is missing', async () => {
    const cut = segment.slice(0, segment.length - 4);
    expect(three[2].length).toBe(bareLengths[2] + 4);
    expect(await told(cut)).toEqual([...framesTold, { end: segment.length, tail: 'none' }]);
  });
});

describe('a walk over padding', () => {
  const padded = (zeros: number): Uint8Array => segmentOf(three[0], new Uint8Array(zeros), three[1]);
  const room = 512 - three[0].length;

  it('passes over zeros up to the alignment, and over nothing else', async () => {
    const moved = { ...second, frame: from + 512 };
    expect(await told(padded(room), { alignment: 512 })).toEqual([first, moved, { end: from + 584, tail: 'none' }]);
    const damage = { damage: [starts[1], from + 512], unreadable: false };
    expect((await told(padded(room)))[1]).toEqual(damage); // Not in a segment whose alignment is 8.
    const spoiled = padded(room);
    spoiled[from + 300] = 1;
    expect((await told(spoiled, { alignment: 512 }))[1]).toEqual(damage);
  });

  it('takes zeros that reach further, or less far, for what they are: lost frames', async () => {
    const far = await told(padded(room + 512), { alignment: 512 });
    expect(far[1]).toEqual({ damage: [starts[1], from + 1024], unreadable: false });
    const near = await told(padded(room - 8), { alignment: 512 });
    expect(near[1]).toEqual({ damage: [starts[1], from + 504], unreadable: false });
  });
});

describe('a walk over damage', () => {
  it('loses one frame to a damaged byte, wherever it is', async () => {
    const step = byScale({ sample: 3, full: 1 });
    for (let place = from; place < segment.length; place += step) {
      for (const value of byScale({ sample: [0xff], full: [0xff, 0x00, 0x80, 0x01] })) {
        const damaged = segment.slice();
        damaged[place] = (damaged[place] ?? 0) ^ value;
        const expected = naiveWalk(damaged, { marker, alignment: 8, from, end: damaged.length });
        expect(await told(damaged), `byte ${place}`).toEqual(expected);
        const lost = framesTold.filter(
          (frame) => !expected.some((each) => JSON.stringify(each) === JSON.stringify(frame)),
        );
        expect(lost.length, `byte ${place}`).toBeLessThanOrEqual(1);
      }
    }
  });

  it('says exactly where the damage is', async () => {
    const damaged = segment.slice();
    damaged[starts[1] + 60] = 0;
    const damage = { damage: [starts[1], starts[2]], unreadable: false };
    expect(await told(damaged)).toEqual([first, damage, third, { end: segment.length, tail: 'none' }]);
    damaged[starts[2] + 8] = 0xff; // A length that was damaged: the last frame is lost, nothing before it.
    expect(await told(damaged)).toEqual([first, { end: starts[1], tail: 'bytes' }]);
  });

  it('reads what is whole when the file is cut at any byte', async () => {
    for (let cut = from; cut < segment.length; cut += byScale({ sample: 3, full: 1 })) {
      const bytes = segment.slice(0, cut);
      const expected = naiveWalk(bytes, { marker, alignment: 8, from, end: segment.length });
      expect(await told(bytes), `cut at ${cut}`).toEqual(expected);
      expect(await told(bytes, { end: segment.length, chunkBytes: 48 }), `cut at ${cut}`).toEqual(expected);
      const whole = starts.filter((start, place) => start + (bareLengths[place] ?? 0) <= cut).length;
      expect(expected.slice(0, -1)).toEqual(framesTold.slice(0, whole));
    }
  });

  it('never takes a frame of another segment, in whichever place', async () => {
    for (const place of [0, 1, 2] as const) {
      const foreign = [...three];
      foreign[place] = simpleFrame(0x1111_1111, place + 1, 20);
      const expected = framesTold.filter((_, other) => other !== place);
      const frames = (await told(segmentOf(...foreign))).filter((step) => 'firstId' in step);
      expect(frames.map((step) => 'firstId' in step && step.firstId)).toEqual(
        expected.map((step) => 'firstId' in step && step.firstId),
      );
    }
  });

  it('takes ids that go backwards as they are', async () => {
    const back = await told(segmentOf(three[1], three[0]));
    expect(back.map((step) => ('firstId' in step ? step.firstId : 'end'))).toEqual([2, 1, 'end']);
  });

  it('stays at a frame it cannot read, behind the damage before it', async () => {
    const newer = three[1].slice();
    newer[12] = 0b10;
    const bytes = segmentOf(three[0], payloadOf(16), resign(newer), three[2]);
    const at = starts[1] + 16;
    const walk = walkOf(new MemoryFile(bytes));
    expect(await walkAll(walk)).toEqual([first, { damage: [starts[1], at], unreadable: false }, { unknown: at }]);
    expect(walk.next()).toEqual({ kind: 'unknown_frame', offset: at });
    walk.extend(bytes.length + 8);
    expect(walk.next()).toEqual({ kind: 'unknown_frame', offset: at });
    expect(walk.offset).toBe(at);
  });
});

describe('a walk that is extended or moved', () => {
  it('goes on from its end when the file has grown', async () => {
    const file = new MemoryFile(segment.slice(0, starts[1]));
    const walk = walkOf(file);
    expect(await walkAll(walk)).toEqual([first, { end: starts[1], tail: 'none' }]);
    for (let length = starts[1] + 1; length < starts[2]; length++) {
      file.bytes = segment.slice(0, length);
      walk.extend(length);
      const step = (await walkAll(walk))[0];
      if (length < starts[2] - 4) expect(step, `length ${length}`).toEqual({ end: starts[1], tail: 'bytes' });
      else expect(step).toEqual(length === starts[2] - 4 ? second : { end: starts[2], tail: 'none' });
    }
    file.bytes = segment;
    walk.extend(segment.length);
    expect(await walkAll(walk)).toEqual([third, { end: segment.length, tail: 'none' }]);
  });

  it('looks again at bytes that were half written when it saw the end', async () => {
    const half = segment.slice();
    half.fill(0, starts[1] + 40);
    const file = new MemoryFile(half);
    const walk = walkOf(file);
    expect(await walkAll(walk)).toEqual([first, { end: starts[1], tail: 'bytes' }]);
    file.bytes = segment;
    walk.extend(segment.length);
    expect(await walkAll(walk)).toEqual([second, third, { end: segment.length, tail: 'none' }]);
  });

  it('may be extended while it loads, and while a gap is open', async () => {
    const file = new MemoryFile(segment.slice(0, starts[2] + 10));
    const walk = walkOf(file, { chunkBytes: 48 });
    expect(walk.next().kind).toBe('load');
    const loading = walk.load();
    file.bytes = segment;
    walk.extend(segment.length);
    await loading;
    expect(await walkAll(walk)).toEqual([...framesTold, { end: segment.length, tail: 'none' }]);

    const torn = segment.slice();
    torn[starts[0] + 4] = ~(torn[starts[0] + 4] ?? 0);
    const searching = walkOf(new MemoryFile(torn), { chunkBytes: 48, end: starts[1] + 8 });
    let asked = 0;
    while (searching.next().kind === 'load' && asked++ < 2) await searching.load();
    searching.extend(torn.length);
    const damage = { damage: [starts[0], starts[1]], unreadable: false };
    expect(await walkAll(searching)).toEqual([damage, second, third, { end: torn.length, tail: 'none' }]);
  });

  it('finds a frame that the old end cut off, however far the search was', async () => {
    const torn = segment.slice();
    torn[starts[0] + 4] = ~(torn[starts[0] + 4] ?? 0);
    const damage = { damage: [starts[0], starts[1]], unreadable: false };
    for (let loads = 0; loads < 12; loads++) {
      const walk = walkOf(new MemoryFile(torn), { chunkBytes: 48, end: starts[1] + 64 });
      for (let load = 0; load < loads && walk.next().kind === 'load'; load++) await walk.load();
      walk.next();
      walk.extend(torn.length);
      const steps = await walkAll(walk);
      expect(steps, `after ${loads} loads`).toEqual([damage, second, third, { end: torn.length, tail: 'none' }]);
    }
  });

  it('forgets where the file ended, too, when it is extended before it has come to the end', async () => {
    const file = new MemoryFile(segment.slice(0, starts[2]));
    const walk = walkOf(file, { end: starts[2] + 8 });
    walk.next();
    await walk.load();
    expect(tell(walk.next())).toEqual(first);
    file.bytes = segment;
    walk.extend(segment.length);
    expect(await walkAll(walk)).toEqual([second, third, { end: segment.length, tail: 'none' }]);
  });

  it('does not read again what it has, when it is extended before it has come to the end', async () => {
    const file = new MemoryFile(segment);
    const walk = walkOf(file, { end: starts[2] });
    walk.next();
    await walk.load();
    expect(tell(walk.next())).toEqual(first);
    walk.extend(segment.length);
    const reads = file.reads;
    expect(tell(walk.next())).toEqual(second);
    expect(file.reads).toBe(reads);
    expect(await walkAll(walk)).toEqual([third, { end: segment.length, tail: 'none' }]);
  });

  it('moves to any multiple of 8, forwards and back', async () => {
    const walk = walkOf(new MemoryFile(segment));
    await walkAll(walk);
    walk.seek(starts[1]);
    expect(walk.offset).toBe(starts[1]);
    expect(await walkAll(walk)).toEqual([second, third, { end: segment.length, tail: 'none' }]);
    walk.seek(starts[2]);
    expect(await walkAll(walk)).toEqual([third, { end: segment.length, tail: 'none' }]);
    walk.seek(segment.length + 80);
    expect(await walkAll(walk)).toEqual([{ end: segment.length + 80, tail: 'none' }]);
  });

  it('refuses what would make it lie', async () => {
    const walk = walkOf(new MemoryFile(segment));
    expect(() => walk.seek(4)).toThrow('I4.8');
    expect(() => walk.extend(10)).toThrow('never shortened');
    expect(() => walkOf(new MemoryFile(segment), { marker: 0 })).toThrow('I4.3');
    walk.next();
    const loading = walk.load();
    expect(() => walk.next()).toThrow('not asked while it loads');
    expect(() => walk.seek(from)).toThrow('does not move while it loads');
    await expect(walk.load()).rejects.toThrow('loads once at a time');
    await loading;
  });
});

describe('a walk over blocks that cannot be read', () => {
  // Frames of 1 KiB, so that a block of 4096 holds several.
  const frames = Array.from({ length: 16 }, (_, place) => simpleFrame(marker, place + 1, 1024 - 60));
  const bytes = segmentOf(...frames);
  const frameAt = (place: number): Told => ({
    frame: from + place * 1024,
    firstId: place + 1,
    nextId: place + 2,
    byteLength: 1024,
  });
  const range = (start: number, end: number): Told[] =>
    Array.from({ length: end - start }, (_, place) => frameAt(start + place));

  it('counts them as damage in mode damage, and goes on behind them', async () => {
    const file = new MemoryFile(bytes);
    file.failing.add(2);
    const damage = { damage: [8192, 12_288], unreadable: true };
    const expected = [...range(0, 4), damage, ...range(8, 16), { end: bytes.length, tail: 'none' }];
    expect(await walkAll(walkOf(file, { unreadable: 'damage' }))).toEqual(expected);
    expect(await walkAll(walkOf(file, { unreadable: 'damage', chunkBytes: 64 }))).toEqual(expected);
  });

  it('does not guess what they hold, even where zeros would fit', async () => {
    const hollow = frameOf(marker, {
      firstId: 2,
      records: [{ payload: new Uint8Array(12_000), events: 1, metadata: 0 }],
    });
    const file = new MemoryFile(segmentOf(three[0], hollow, three[2]));
    file.failing.add(2); // Nothing but zeros of the payload.
    const last = starts[1] + hollow.length;
    expect((await walkAll(walkOf(file, { unreadable: 'damage' })))[1]).toEqual({
      damage: [starts[1], last],
      unreadable: true,
    });

    const padded = new MemoryFile(segmentOf(new Uint8Array(4096), three[0], new Uint8Array(8192 - 80), three[1]));
    const options = { alignment: 8192, from: 8192, unreadable: 'damage' } as const;
    expect(await walkAll(walkOf(padded, options))).toHaveLength(3);
    padded.failing.add(3); // Nothing but padding.
    expect((await walkAll(walkOf(padded, options)))[1]).toEqual({ damage: [8192 + 80, 16_384], unreadable: true });
  });

  it('asks again for what a short read left out between two multiples of 8', async () => {
    const file = new MemoryFile(segmentOf(payloadOf(60)));
    const read = file.read.bind(file);
    let calls = 0;
    file.read = async (target, position) => {
      calls += 1;
      if (calls === 1) return await read(target.subarray(0, 57), position);
      if (calls < 4) throw failedRead();
      return await read(target, position);
    };
    expect(await walkAll(walkOf(file))).toEqual([{ end: from, tail: 'bytes' }]);
  });

  it('never says that an unreadable tail may be cut', async () => {
    const file = new MemoryFile(bytes);
    file.failing.add(3).add(4);
    const end = { end: 12_288, tail: 'unreadable' };
    expect(await walkAll(walkOf(file, { unreadable: 'damage' }))).toEqual([...range(0, 8), end]);
  });

  it('rejects in mode reject, keeps its place, and goes on once the block can be read', async () => {
    const file = new MemoryFile(bytes);
    file.failing.add(2);
    const walk = walkOf(file);
    const seen: Told[] = [];
    let failures = 0;
    for (;;) {
      const step = walk.next();
      if (step.kind !== 'load') {
        seen.push(tell(step));
        if (step.kind === 'end') break;
        continue;
      }
      try {
        await walk.load();
      } catch (error) {
        expect(error).toMatchObject({ code: 'SPILLWAY_STORAGE_IO' });
        expect(seen).toEqual(range(0, 4)); // Everything before the block was given first.
        expect(walk.offset).toBe(8192);
        failures += 1;
        if (failures === 3) file.failing.clear();
      }
    }
    expect(failures).toBe(3);
    expect(seen).toEqual([...range(0, 16), { end: bytes.length, tail: 'none' }]);
  });

  it('rejects too when the search for the next frame needs the block', async () => {
    const torn = bytes.slice();
    torn[from + 3 * 1024 + 60] = 0xff;
    torn[from + 3 * 1024 + 61] = 0xff;
    const file = new MemoryFile(torn);
    file.failing.add(2);
    const walk = walkOf(file);
    const attempt = async (): Promise<void> => {
      for (;;) {
        const step = walk.next();
        if (step.kind === 'load') await walk.load();
        if (step.kind === 'end') throw new Error('it came to an end');
      }
    };
    await expect(attempt()).rejects.toMatchObject({ code: 'SPILLWAY_STORAGE_IO' });
    await expect(attempt()).rejects.toMatchObject({ code: 'SPILLWAY_STORAGE_IO' });
    expect(walk.offset).toBe(from + 3 * 1024);
    file.failing.clear();
    const damage = { damage: [from + 3 * 1024, from + 4 * 1024], unreadable: false };
    expect((await walkAll(walk)).slice(0, 2)).toEqual([damage, frameAt(4)]);
  });

  it('does not take errors that say nothing about the bytes for damage', async () => {
    const file = new MemoryFile(bytes);
    file.read = () => Promise.reject(failedRead('limit'));
    await expect(walkAll(walkOf(file, { unreadable: 'damage' }))).rejects.toMatchObject({ kind: 'limit' });
  });
});

describe('a walk and its memory', () => {
  const large = simpleFrame(marker, 2, 3 * MiB);
  const bytes = segmentOf(three[0], large, simpleFrame(marker, 3, 60));

  it('grows for a frame larger than a chunk and shrinks again', async () => {
    const walk = walkOf(new MemoryFile(bytes), { chunkBytes: 65_536 });
    const lengths: number[] = [];
    for (;;) {
      const step = walk.next();
      if (step.kind === 'end') break;
      if (step.kind === 'load') await walk.load();
      if (step.kind === 'frame') lengths.push(step.bytes.length);
    }
    expect(lengths[0]).toBe(65_536);
    expect(lengths[1]).toBe(large.length);
    expect(lengths[2]).toBeLessThanOrEqual(65_536);
  });

  it('does not believe a claim that the file cannot hold, whatever end it was told', async () => {
    const lying = three[1].slice();
    const view = new DataView(lying.buffer);
    view.setUint32(8, 60 * MiB, true);
    view.setUint32(28, 60 * MiB, true);
    const file = new MemoryFile(segmentOf(three[0], lying, three[2]));
    const steps = await walkAll(walkOf(file, { end: 100 * MiB }));
    expect(steps).toHaveLength(4);
    expect(steps[1]).toEqual({ damage: [starts[1], starts[2]], unreadable: false });
    expect(file.longestRead).toBeLessThanOrEqual(MiB);
  });

  it('verifies a false claim that fits, then searches on behind it', async () => {
    const lying = three[1].slice();
    const view = new DataView(lying.buffer);
    view.setUint32(8, 2 * MiB, true);
    view.setUint32(28, 2 * MiB, true);
    const file = new MemoryFile(segmentOf(payloadOf(64), lying, large, three[2]));
    const steps = await walkAll(walkOf(file, { chunkBytes: 65_536 }));
    expect(steps.map((step) => ('damage' in step ? step.damage : Object.values(step)[0]))).toEqual([
      [from, from + 64 + lying.length],
      from + 64 + lying.length,
      from + 64 + lying.length + large.length,
      file.bytes.length,
    ]);
  });

  it('judges a gap much longer than its memory', async () => {
    const gap = new Uint8Array(MiB);
    const zeros = walkOf(new MemoryFile(segmentOf(three[0], gap, three[1])), { chunkBytes: 4096 });
    const to = starts[1] + MiB;
    expect((await walkAll(zeros))[1]).toEqual({ damage: [starts[1], to], unreadable: false });
    const tail = new MemoryFile(segmentOf(three[0], gap));
    expect((await walkAll(walkOf(tail, { chunkBytes: 4096 })))[1]).toEqual({ end: starts[1], tail: 'zeros' });
    tail.bytes[starts[1]] = 1; // Far behind when the search ends, not forgotten.
    expect((await walkAll(walkOf(tail, { chunkBytes: 4096 })))[1]).toEqual({ end: starts[1], tail: 'bytes' });
    expect(tail.longestRead).toBe(4096);
  });
});
