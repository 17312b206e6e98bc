import { describe, expect, it } from 'vitest';
import { chance, failedRead, MemoryFile, payloadOf } from '../../test/segment-bytes.ts';
import { SegmentWindow } from './segment-window.ts';

const bytes = payloadOf(100_000);

function shown(window: SegmentWindow, from: number, to: number): Uint8Array {
  return window.bytes.slice(from - window.start, to - window.start);
}

describe('window', () => {
  it('shows what was asked for and what fits behind it', async () => {
    const file = new MemoryFile(bytes, chance(1));
    const window = new SegmentWindow({ file, chunkBytes: 4096, unreadable: 'reject' });
    for (const from of [0, 8, 4096, 50_000, 96, 95_904]) {
      await window.load(from, 48, bytes.length);
      expect([window.start, window.end]).toEqual([from, from + 4096]);
      expect(shown(window, from, window.end)).toEqual(bytes.slice(from, window.end));
      expect(window.view.getUint8(17)).toBe(bytes[from + 17]);
    }
  });

  it('does not read again what it has', async () => {
    const file = new MemoryFile(bytes);
    const window = new SegmentWindow({ file, chunkBytes: 4096, unreadable: 'reject' });
    await window.load(0, 48, bytes.length);
    await window.load(4000, 200, bytes.length);
    expect(file.reads).toBe(2);
    expect(file.longestRead).toBe(4096);
    expect(shown(window, 4000, 8096)).toEqual(bytes.slice(4000, 8096));
    expect(window.covers(3999)).toBe(false);
    expect(window.covers(8095)).toBe(true);
    expect(window.covers(8096)).toBe(false);
  });

  it('stops at the limit and at the end of the file', async () => {
    const window = new SegmentWindow({ file: new MemoryFile(bytes), chunkBytes: 4096, unreadable: 'reject' });
    await window.load(0, 48, 1000);
    expect([window.end, window.fileEnd]).toEqual([1000, Number.POSITIVE_INFINITY]);
    await window.load(99_992, 48, 200_000);
    expect([window.end, window.fileEnd]).toEqual([100_000, 100_000]);
    window.forget(99_992);
    expect([window.end, window.fileEnd]).toEqual([99_992, Number.POSITIVE_INFINITY]);
  });

  it('has no more memory than its chunk, or the one frame it was asked for', async () => {
    const file = new MemoryFile(bytes);
    const window = new SegmentWindow({ file, chunkBytes: 4096, unreadable: 'reject' });
    await window.load(0, 48, 1000);
    expect(window.bytes.length).toBe(1000); // Small segments and readers that keep up take little.
    await window.load(0, 48, 1200);
    expect(window.bytes.length).toBe(2000);
    await window.load(0, 30_000, bytes.length);
    expect(window.bytes.length).toBe(30_000);
    expect(shown(window, 0, 30_000)).toEqual(bytes.slice(0, 30_000));
    await window.load(24, 48, bytes.length);
    expect(window.bytes.length).toBe(4096);
    expect(shown(window, 24, 24 + 4096)).toEqual(bytes.slice(24, 24 + 4096));
  });

  it('asks the file before it makes room for a claim', async () => {
    const window = new SegmentWindow({ file: new MemoryFile(bytes), chunkBytes: 4096, unreadable: 'reject' });
    await window.load(0, 2 ** 30, 2 ** 31);
    expect(window.bytes.length).toBe(0);
    expect(window.fileEnd).toBe(100_000);
  });

  it('turns blocks that fail into holes, joined and filled with zeros', async () => {
    const file = new MemoryFile(bytes);
    const window = new SegmentWindow({ file, chunkBytes: 32_768, unreadable: 'damage' });
    await window.load(0, 48, 32_768);
    window.forget(0); // The memory is full of old bytes now.
    file.failing.add(1).add(2).add(4);
    await window.load(0, 48, 32_768);
    expect(window.end).toBe(32_768);
    expect(window.holeAfter(0)).toEqual({ from: 4096, to: 12_288 });
    expect(window.holeAfter(12_288)).toEqual({ from: 16_384, to: 20_480 });
    expect(window.holeAfter(20_480)).toBeUndefined();
    expect(shown(window, 4096, 12_288).every((byte) => byte === 0)).toBe(true);
    expect(shown(window, 12_288, 16_384)).toEqual(bytes.slice(12_288, 16_384));
    window.forget(6000);
    expect(window.holeAfter(0)).toEqual({ from: 4096, to: 6000 });
    file.failing.clear();
    await window.load(12_288, 48, 20_000);
    expect(window.holeAfter(0)).toBeUndefined();
  });

  it('rejects with the error of a block that is needed, keeps what it has, and can try again', async () => {
    const file = new MemoryFile(bytes);
    file.failing.add(2);
    const window = new SegmentWindow({ file, chunkBytes: 32_768, unreadable: 'reject' });
    await window.load(0, 48, bytes.length);
    expect(window.end).toBe(8192); // The block was only read ahead: nothing is wrong yet.
    await expect(window.load(4096, 4104, bytes.length)).rejects.toMatchObject({ kind: 'io' });
    expect([window.start, window.end]).toEqual([4096, 8192]);
    file.failing.clear();
    await window.load(4096, 4104, bytes.length);
    expect(shown(window, 4096, 8200)).toEqual(bytes.slice(4096, 8200));
  });

  it('passes on errors that are not about the bytes, in both modes and from single blocks', async () => {
    for (const unreadable of ['reject', 'damage'] as const) {
      const busy = new MemoryFile(bytes);
      const read = busy.read.bind(busy);
      let calls = 0;
      busy.read = (...args) => (calls++ === 0 ? Promise.reject(failedRead('limit')) : read(...args));
      const waiting = new SegmentWindow({ file: busy, chunkBytes: 8192, unreadable });
      await expect(waiting.load(0, 48, bytes.length)).rejects.toMatchObject({ kind: 'limit' });
      await waiting.load(0, 48, bytes.length);
      expect(waiting.end).toBe(8192);
      const file = new MemoryFile(bytes);
      let reads = 0;
      file.read = () => Promise.reject(failedRead(reads++ === 0 ? 'io' : 'limit'));
      const window = new SegmentWindow({ file, chunkBytes: 8192, unreadable });
      await expect(window.load(0, 48, bytes.length)).rejects.toMatchObject({ kind: 'limit' });
      expect(window.holeAfter(0)).toBeUndefined();
    }
  });
});
