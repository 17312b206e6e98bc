import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { frameOf, type TestFrame } from '../../test/segment-bytes.ts';
import { byScale } from '../../test/sweep.ts';
import { createRecordTable, decodeRecords, eventsPerRecordMax, frameHeaderBytes, readFrame } from './frame.ts';
import { findFrame } from './frame-scan.ts';

const numRuns = byScale({ sample: 200, full: 3000 });
const u32 = fc.nat({ max: 2 ** 32 - 1 });
const markers = fc.integer({ min: 1, max: 2 ** 32 - 1 });

const records = fc.array(
  fc.record({
    payload: fc.uint8Array({ maxLength: 100 }),
    events: fc.oneof(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: eventsPerRecordMax })),
    metadata: u32,
  }),
  { minLength: 1, maxLength: 20 },
);
const frames: fc.Arbitrary<TestFrame> = fc.record({
  firstId: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER - 20 * eventsPerRecordMax }),
  records,
  seal: fc.boolean(),
  appendedAt: fc.maxSafeNat(),
  durableId: fc.maxSafeNat(),
});

describe('frames', () => {
  it('give back what went in, at any place of the memory', () => {
    fc.assert(
      fc.property(markers, frames, fc.nat({ max: 9 }), (marker, frame, words) => {
        const encoded = frameOf(marker, frame);
        const bytes = new Uint8Array(8 * words + encoded.length);
        bytes.set(encoded, 8 * words);
        const view = new DataView(bytes.buffer);
        const reading = readFrame(bytes, view, 8 * words, bytes.length, marker);
        expect(reading).toMatchObject({
          kind: 'frame',
          frame: {
            seal: frame.seal,
            recordCount: frame.records.length,
            firstId: frame.firstId,
            appendedAt: frame.appendedAt,
            durableId: frame.durableId,
            byteLength: encoded.length,
            payloadBytes: frame.records.reduce((sum, { payload }) => sum + payload.length, 0),
          },
        });
        const table = createRecordTable(4);
        decodeRecords(view, 8 * words + frameHeaderBytes, frame.records.length, table);
        const decoded = frame.records.map((_, record) => {
          const start = table.payloadOffsets[record] ?? 0;
          return {
            payload: bytes.slice(start, start + (table.payloadLengths[record] ?? 0)),
            events: table.events[record],
            metadata: table.metadata[record],
          };
        });
        expect(decoded).toEqual(frame.records);
      }),
      { numRuns },
    );
  });

  it('hold no trace of what the memory held before', () => {
    fc.assert(
      fc.property(frames, (frame) => {
        // frameOf starts from dirty memory, so equal input can only give equal bytes if every byte is written.
        const bytes = frameOf(1, frame);
        let offset = frameHeaderBytes;
        for (const { payload } of frame.records) {
          const padded = offset + 12 + Math.ceil(payload.length / 4) * 4;
          expect(bytes.subarray(offset + 12 + payload.length, padded).every((byte) => byte === 0)).toBe(true);
          offset = padded;
        }
        expect(bytes.subarray(offset).every((byte) => byte === 0)).toBe(true);
      }),
      { numRuns },
    );
  });

  it('are not seen in random bytes behind a true marker, and nothing is thrown', () => {
    const garbage = fc.uint8Array({ minLength: 4, maxLength: 300 });
    fc.assert(
      fc.property(garbage, fc.nat({ max: 400 }), fc.boolean(), (bytes, claim, plausible) => {
        const view = new DataView(bytes.buffer);
        const marker = view.getUint32(0, true);
        if (plausible && bytes.length >= frameHeaderBytes) {
          view.setUint32(8, claim, true);
          view.setUint32(28, claim, true);
          view.setUint16(12, 0, true);
        }
        for (let end = 0; end <= bytes.length; end++) {
          expect(['none', 'short']).toContain(readFrame(bytes, view, 0, end, marker).kind);
        }
      }),
      { numRuns },
    );
  });
});

describe('findFrame', () => {
  it('finds what asking at every multiple of 8 finds', () => {
    const piece = fc.oneof(
      fc.record({ kind: fc.constant('frame' as const), frame: frames }),
      fc.record({ kind: fc.constant('bytes' as const), bytes: fc.uint8Array({ maxLength: 40 }) }),
      fc.record({ kind: fc.constant('marker' as const), shift: fc.nat({ max: 8 }) }),
      fc.record({ kind: fc.constant('torn' as const), frame: frames, keep: fc.nat({ max: 100 }) }),
    );
    fc.assert(
      fc.property(markers, fc.array(piece, { maxLength: 6 }), fc.nat({ max: 60 }), fc.nat({ max: 9 }), (...drawn) => {
        const [marker, pieces, from, cut] = drawn;
        const parts = pieces.map((part) => {
          if (part.kind === 'frame') return frameOf(marker, part.frame);
          if (part.kind === 'bytes') return part.bytes;
          if (part.kind === 'torn') return frameOf(marker, part.frame).slice(0, part.keep);
          return Uint8Array.from([...new Uint8Array(part.shift), ...new Uint8Array(Uint32Array.of(marker).buffer)]);
        });
        const all = Uint8Array.from(Buffer.concat(parts));
        const end = Math.max(0, all.length - cut);
        const view = new DataView(all.buffer);
        const finding = findFrame(all, view, Math.min(from, end), end, marker);
        let expected: object = { kind: 'none' };
        for (let offset = Math.ceil(Math.min(from, end) / 8) * 8; offset < end; offset += 8) {
          const reading = readFrame(all, view, offset, end, marker);
          if (reading.kind === 'none') continue;
          expected = { kind: 'found', offset };
          if (reading.kind === 'short') expected = { kind: 'short', offset, byteLength: reading.byteLength };
          if (reading.kind === 'unknown') expected = { kind: 'unknown', offset };
          break;
        }
        expect(finding).toEqual(expected);
      }),
      { numRuns },
    );
  });
});
