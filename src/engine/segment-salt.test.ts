import { describe, expect, it } from 'vitest';
import {
  chance,
  concat,
  frameOf,
  MemoryFile,
  payloadOf,
  resign,
  segmentOf,
  simpleFrame,
} from '../../test/segment-bytes.ts';
import { byScale } from '../../test/sweep.ts';
import { listenToMarks } from '../base/marks.ts';
import { MiB } from '../base/units.ts';
import { recoverSalt } from './segment-salt.ts';

const marker = 0x5eed_cafe;
const forgery = 0x0bad_0bad;

async function saltOf(bytes: Uint8Array, end = bytes.length): Promise<number | undefined> {
  return await recoverSalt(new MemoryFile(bytes), end);
}

/** A frame whose payload is the given bytes, placed so that they lie at a multiple of 8 of the file. */
function carrying(...inside: readonly Uint8Array[]): Uint8Array {
  const payload = concat(new Uint8Array(4), ...inside);
  return frameOf(marker, { firstId: 1, records: [{ payload, events: 1, metadata: 0 }] });
}

describe('recoverSalt', () => {
  it('finds the marker of whole frames, of one frame, and of none', async () => {
    expect(await saltOf(segmentOf(simpleFrame(marker, 1, 10), simpleFrame(marker, 2, 10)))).toBe(marker);
    expect(await saltOf(segmentOf(simpleFrame(marker, 1, 10)))).toBe(marker);
    expect(await saltOf(segmentOf())).toBeUndefined();
    expect(await saltOf(new Uint8Array(0))).toBeUndefined();
    expect(await saltOf(segmentOf(new Uint8Array(100_000)))).toBeUndefined();
    expect(await saltOf(segmentOf(payloadOf(100_000)))).toBeUndefined();
  });

  it('finds it behind damage at any place of the first frame', async () => {
    const frames = [simpleFrame(marker, 1, 100), simpleFrame(marker, 2, 30), simpleFrame(marker, 3, 5)] as const;
    const whole = segmentOf(...frames);
    for (let place = 4096; place < 4096 + frames[0].length; place += byScale({ sample: 3, full: 1 })) {
      const bytes = whole.slice();
      bytes[place] = ~(bytes[place] ?? 0);
      expect(await saltOf(bytes), `byte ${place}`).toBe(marker);
    }
  });

  it('prefers frames in a row to a lone frame before them', async () => {
    const bytes = segmentOf(simpleFrame(forgery, 1, 10), simpleFrame(marker, 2, 10), simpleFrame(marker, 3, 10));
    expect(await saltOf(bytes)).toBe(marker);
  });

  it('does not look for frames inside a frame that holds', async () => {
    const forged = [simpleFrame(forgery, 1, 10), simpleFrame(forgery, 2, 10)];
    const carrier = carrying(...forged);
    expect(await saltOf(segmentOf(...forged))).toBe(forgery); // They would have been found.
    expect(await saltOf(segmentOf(carrier))).toBe(marker);
    expect(await saltOf(segmentOf(carrier, simpleFrame(marker, 2, 10)))).toBe(marker);
    // Once the carrier is damaged, the frame inside it is whole and comes first: the row behind it still wins.
    const torn = carrying(simpleFrame(forgery, 1, 10));
    torn[4] = ~(torn[4] ?? 0);
    expect(await saltOf(segmentOf(torn))).toBe(forgery);
    expect(await saltOf(segmentOf(torn, simpleFrame(marker, 2, 10), simpleFrame(marker, 3, 10)))).toBe(marker);
  });

  it('finds frames that are larger than a chunk, by short reads, in a file shorter than it was told', async () => {
    const bytes = segmentOf(payloadOf(24), simpleFrame(marker, 1, 2 * MiB + 5), simpleFrame(marker, 2, 10));
    expect(await recoverSalt(new MemoryFile(bytes, chance(3)), bytes.length + 12_345)).toBe(marker);
    expect(await saltOf(bytes, 5000)).toBeUndefined();
  });

  it('finds the marker of compressed frames, which it cannot read', async () => {
    const compressed = simpleFrame(marker, 1, 100);
    const view = new DataView(compressed.buffer);
    view.setUint16(12, 0b10, true);
    view.setUint32(28, 1000, true);
    expect(await saltOf(segmentOf(resign(compressed)))).toBe(marker);
  });

  it('passes over blocks that cannot be read', async () => {
    const frames = Array.from({ length: 12 }, (_, place) => simpleFrame(marker, place + 1, 1024 - 60));
    const file = new MemoryFile(segmentOf(...frames));
    file.failing.add(1);
    expect(await recoverSalt(file, file.bytes.length)).toBe(marker);
    file.failing.add(2).add(3);
    expect(await recoverSalt(file, file.bytes.length)).toBeUndefined();
    const records = [{ payload: new Uint8Array(12_000), events: 1, metadata: 0 }];
    const hollow = new MemoryFile(segmentOf(frameOf(marker, { firstId: 1, records })));
    hollow.failing.add(2); // Nothing but zeros of the payload: zeros would fit, but nobody knows.
    expect(await recoverSalt(hollow, hollow.bytes.length)).toBeUndefined();
  });

  it('gives up on bytes made to keep it busy', async () => {
    const length = 8 * MiB; // Without a budget this takes minutes.
    const bytes = segmentOf(new Uint8Array(length));
    const view = new DataView(bytes.buffer);
    for (let offset = 4096; offset + 56 <= bytes.length; offset += 40) {
      const claim = Math.floor((bytes.length - offset - 48) / 8) * 8;
      view.setUint32(offset, forgery, true);
      view.setUint32(offset + 8, claim, true);
      view.setUint32(offset + 12, 1 << 16, true);
      view.setUint32(offset + 16, 1, true);
      view.setUint32(offset + 24, 1, true);
      view.setUint32(offset + 28, claim, true);
    }
    const heard = new Set<string>();
    const stop = listenToMarks((name) => heard.add(name));
    expect(await saltOf(bytes)).toBeUndefined();
    stop();
    expect([...heard]).toEqual(['segment.salt_budget_spent']);
  });
});
