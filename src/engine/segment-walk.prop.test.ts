import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chance, frameOf, headerRoom, MemoryFile, naiveWalk, segmentOf, walkAll } from '../../test/segment-bytes.ts';
import { byScale } from '../../test/sweep.ts';
import { SegmentWalk } from './segment-walk.ts';

const marker = 0x7a11_5a17;
const from = headerRoom;

const record = fc.record({
  payload: fc.uint8Array({ maxLength: 400 }),
  events: fc.integer({ min: 1, max: 3 }),
  metadata: fc.constant(0),
});
const frame = fc
  .record({ firstId: fc.integer({ min: 1, max: 1000 }), records: fc.array(record, { minLength: 1, maxLength: 4 }) })
  .map((drawn) => frameOf(marker, drawn));
const newer = frame.map((bytes) => {
  const flagged = bytes.slice();
  flagged[12] = 2; // The checksum does not hold any more: a frame whose flags were damaged.
  return flagged;
});
const zeros = fc.constantFrom(8, 40, 504, 512, 5000).map((length) => new Uint8Array(length));
const garbage = fc.uint8Array({ maxLength: 600 });
const markers = fc
  .array(fc.constantFrom(0, 8, 40, 1000, 30_000), { minLength: 1, maxLength: 4 })
  .map((claims) => Uint8Array.from(claims.flatMap((claim) => [...new Uint8Array(claimOf(claim).buffer)])));
const aligned = fc.constant('align' as const);

/** Sixteen bytes that begin like a frame: the marker, a checksum, a length, no flags. */
function claimOf(bodyBytes: number): Uint32Array<ArrayBuffer> {
  return Uint32Array.of(marker, 1, bodyBytes, 1 << 16);
}

function assemble(parts: readonly (Uint8Array | 'align')[], alignment: number): Uint8Array {
  const done: Uint8Array[] = [];
  let length = 0;
  for (const part of parts) {
    const bytes = part === 'align' ? new Uint8Array((alignment - (length % alignment)) % alignment) : part;
    done.push(bytes);
    length += bytes.length;
  }
  return segmentOf(...done);
}

const parts = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: frame },
    { weight: 1, arbitrary: newer },
    { weight: 1, arbitrary: zeros },
    { weight: 1, arbitrary: garbage },
    { weight: 1, arbitrary: markers },
    { weight: 2, arbitrary: aligned },
  ),
  { maxLength: 25 },
);
const damages = fc.array(fc.record({ place: fc.nat(), value: fc.integer({ min: 1, max: 255 }) }), { maxLength: 4 });

const situation = fc.record({
  parts,
  damages,
  alignment: fc.constantFrom(8, 512, 4096),
  chunkBytes: fc.oneof(fc.constantFrom(48, 64, 4096), fc.integer({ min: 1, max: 20_000 })),
  cut: fc.oneof(fc.constant(0), fc.nat({ max: 200 })),
  beyond: fc.constantFrom(0, 0, 3, 100_000),
  short: fc.boolean(),
  failing: fc.array(fc.integer({ min: 1, max: 6 }), { maxLength: 2 }),
  seed: fc.nat(),
});

describe('a walk', () => {
  it('says what the reading rule says, whatever the bytes, the chunks, the reads and the disk do', async () => {
    const property = fc.asyncProperty(situation, async (drawn) => {
      const whole = assemble(drawn.parts, drawn.alignment);
      const bytes = whole.slice(0, Math.max(from, whole.length - drawn.cut));
      for (const { place, value } of drawn.damages) {
        if (bytes.length === from) break;
        const at = from + (place % (bytes.length - from));
        bytes[at] = (bytes[at] ?? 0) ^ value;
      }
      const file = new MemoryFile(bytes, drawn.short ? chance(drawn.seed) : undefined);
      for (const block of drawn.failing) file.failing.add(block);
      const end = bytes.length + drawn.beyond;
      const { alignment, chunkBytes } = drawn;
      const walk = new SegmentWalk({ file, marker, alignment, from, end, unreadable: 'damage', chunkBytes });
      const expected = naiveWalk(bytes, { marker, alignment, from, end, failing: file.failing });
      expect(await walkAll(walk)).toEqual(expected);
      walk.seek(from);
      expect(await walkAll(walk)).toEqual(expected);
    });
    await fc.assert(property, { numRuns: byScale({ sample: 400, full: 4000 }) });
  });

  it('says the same however often it is extended on the way', async () => {
    const property = fc.asyncProperty(situation, fc.array(fc.nat(), { maxLength: 5 }), async (drawn, stops) => {
      const bytes = assemble(drawn.parts, drawn.alignment);
      const { alignment, chunkBytes } = drawn;
      const file = new MemoryFile(bytes.slice(0, from), drawn.short ? chance(drawn.seed) : undefined);
      const walk = new SegmentWalk({ file, marker, alignment, from, end: from, unreadable: 'reject', chunkBytes });
      const lengths = [...stops.map((stop) => from + (stop % (bytes.length - from + 1))), bytes.length];
      const seen: unknown[] = [];
      lengths.sort((left, right) => left - right);
      for (const [place, length] of lengths.entries()) {
        file.bytes = bytes.slice(0, length);
        walk.extend(length);
        const steps = await walkAll(walk);
        seen.push(...(place === lengths.length - 1 ? steps : steps.filter((step) => !('end' in step))));
      }
      expect(seen).toEqual(naiveWalk(bytes, { marker, alignment, from, end: bytes.length }));
    });
    await fc.assert(property, { numRuns: byScale({ sample: 200, full: 2000 }) });
  });
});
