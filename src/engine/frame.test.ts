import { describe, expect, it } from 'vitest';
import { concat, frameOf, payloadOf, resign, type TestRecord } from '../../test/segment-bytes.ts';
import { byScale } from '../../test/sweep.ts';
import {
  claimedBytes,
  createFrameMemory,
  createRecordTable,
  decodeRecords,
  encodeFrame,
  encodeRecord,
  eventsPerFrameMax,
  eventsPerRecordMax,
  type Frame,
  type FrameReading,
  frameBodyBytesMax,
  frameBytes,
  frameHeaderBytes,
  readFrame,
  readOwnFrame,
  recordBytes,
  recordsPerFrameMax,
} from './frame.ts';

const marker = 0x8f3a_01c7;
const largest = Number.MAX_SAFE_INTEGER;

const record = (byteLength: number, events = 1, metadata = 0): TestRecord => ({
  payload: payloadOf(byteLength, byteLength + events),
  events,
  metadata,
});

/** Frames that differ in everything a reader looks at: padding, seal, sizes, large numbers. */
const samples: Readonly<Record<string, Uint8Array>> = {
  'one record': frameOf(marker, { firstId: 1, records: [record(5)] }),
  'three records, no padding': frameOf(marker, { firstId: 9, records: [record(8, 3, 7), record(0), record(4, 2)] }),
  'large numbers': frameOf(marker, {
    firstId: largest - eventsPerRecordMax,
    records: [record(3, eventsPerRecordMax, 2 ** 32 - 1)],
    appendedAt: largest,
    durableId: largest,
  }),
  'a seal with records': frameOf(marker, { firstId: 5, seal: true, records: [record(1), record(2)] }),
  'a seal alone': frameOf(marker, { firstId: 77, seal: true, records: [] }),
};

function read(bytes: Uint8Array, offset = 0, end = bytes.length, wanted = marker): FrameReading {
  return readFrame(bytes, new DataView(bytes.buffer, bytes.byteOffset, bytes.length), offset, end, wanted);
}

function frameIn(bytes: Uint8Array): Frame {
  const reading = read(bytes);
  if (reading.kind !== 'frame') throw new Error(`expected a frame, found ${reading.kind}`);
  return reading.frame;
}

/** A copy with one field stored anew and, unless `signed` is false, a checksum that agrees with the lie. */
function forged(bytes: Uint8Array, change: (view: DataView) => void, signed = true): Uint8Array {
  const copy = bytes.slice();
  change(new DataView(copy.buffer));
  return signed ? resign(copy) : copy;
}

describe('frame sizes', () => {
  it('pad records to 4 and frames to 8, beyond 32 bits too', () => {
    expect([0, 1, 3, 4, 5].map(recordBytes)).toEqual([12, 16, 16, 16, 20]);
    expect([0, 1, 8, 12, 16, 20].map(frameBytes)).toEqual([48, 56, 56, 64, 64, 72]);
    expect(recordBytes(2 ** 32 + 1)).toBe(2 ** 32 + 16);
    expect(frameBytes(2 ** 33 + 4)).toBe(2 ** 33 + 56);
  });
});

describe('encodeFrame', () => {
  it('writes what readFrame reads', () => {
    expect(frameIn(samples['three records, no padding'] as Uint8Array)).toEqual({
      byteLength: 96,
      bodyBytes: 48,
      seal: false,
      recordCount: 3,
      firstId: 9,
      eventCount: 6,
      nextId: 15,
      appendedAt: 1_700_000_000_000,
      durableId: 8,
      payloadBytes: 12,
    });
    const large = frameIn(samples['large numbers'] as Uint8Array);
    expect(large).toMatchObject({ nextId: largest, appendedAt: largest, durableId: largest });
    expect(frameIn(samples['a seal alone'] as Uint8Array)).toMatchObject({ seal: true, recordCount: 0, nextId: 77 });
    expect(frameIn(samples['a seal with records'] as Uint8Array)).toMatchObject({ seal: true, recordCount: 2 });
  });

  it('refuses what no reader would accept', () => {
    const memory = createFrameMemory(256);
    const good = { marker, seal: false, recordCount: 1, firstId: 1, eventCount: 1, appendedAt: 0, durableId: 0 };
    const bodyBytes = encodeRecord(memory, frameHeaderBytes, payloadOf(4), 1, 0) - frameHeaderBytes;
    expect(encodeFrame(memory, 0, bodyBytes, good)).toBe(64);
    const encode =
      (change: Partial<typeof good>, offset = 0, body = bodyBytes) =>
      () =>
        encodeFrame(memory, offset, body, { ...good, ...change });
    const refused = [
      encode({}, 4),
      encode({}, 0, bodyBytes + 1),
      encode({}, 0, 256),
      encode({}, 0, 8),
      encode({ marker: 0 }),
      encode({ marker: 2 ** 32 }),
      encode({ recordCount: 0 }),
      encode({ recordCount: recordsPerFrameMax + 1, eventCount: recordsPerFrameMax + 1 }),
      encode({ eventCount: 0 }),
      encode({ eventCount: eventsPerFrameMax + 1 }),
      encode({ firstId: 0 }),
      encode({ firstId: largest }),
      encode({ appendedAt: -1 }),
      encode({ appendedAt: 0.5 }),
      encode({ durableId: largest + 1 }),
    ];
    for (const [place, attempt] of refused.entries()) {
      expect(attempt, `attempt ${place}`).toThrow('Invariant violated');
    }
  });

  it('refuses a record that does not fit its memory', () => {
    const memory = createFrameMemory(64);
    expect(() => encodeRecord(memory, frameHeaderBytes, payloadOf(5), 1, 0)).toThrow(RangeError);
    expect(() => encodeRecord(memory, 56, payloadOf(0), 1, 0)).toThrow(RangeError);
    expect(encodeRecord(memory, frameHeaderBytes, payloadOf(4), 1, 0)).toBe(64);
  });
});

describe('readFrame, bytes cut', () => {
  for (const [name, bytes] of Object.entries(samples)) {
    it(`asks for more or says none at every cut: ${name}`, () => {
      const { bodyBytes } = frameIn(bytes);
      const whole = frameHeaderBytes + bodyBytes;
      for (let cut = 0; cut <= bytes.length; cut++) {
        // Once as the end of memory, where looking further throws, and once as the end of what may be looked at.
        for (const reading of [read(bytes.slice(0, cut)), read(bytes, 0, cut)]) {
          if (cut >= whole) expect(reading, `cut at ${cut}`).toMatchObject({ kind: 'frame' });
          else if (cut >= frameHeaderBytes) expect(reading, `${cut}`).toEqual({ kind: 'short', byteLength: whole });
          else expect(reading, `cut at ${cut}`).toEqual({ kind: 'short', byteLength: frameHeaderBytes });
        }
      }
    });
  }

  it('says none where the few bytes left are not the marker', () => {
    for (let cut = 1; cut < frameHeaderBytes; cut++) {
      const bytes = (samples['one record'] as Uint8Array).slice(0, cut);
      bytes[Math.min(cut, 4) - 1] = ~(bytes[Math.min(cut, 4) - 1] ?? 0);
      expect(read(bytes), `cut at ${cut}`).toEqual({ kind: 'none' });
    }
    expect(read(new Uint8Array(8), 4, 2)).toEqual({ kind: 'none' });
  });
});

describe('readFrame, bits flipped', () => {
  for (const [name, bytes] of Object.entries(samples)) {
    it(`never takes a flipped bit for a frame: ${name}`, () => {
      const frame = frameIn(bytes);
      const bits = byScale({ sample: [0, 3, 7], full: [0, 1, 2, 3, 4, 5, 6, 7] });
      for (let place = 0; place < bytes.length; place++) {
        for (const bit of bits) {
          const flipped = bytes.slice();
          flipped[place] = (flipped[place] ?? 0) ^ (1 << bit);
          const reading = read(flipped);
          if (place >= frameHeaderBytes + frame.bodyBytes) expect(reading).toEqual({ kind: 'frame', frame });
          else expect(['none', 'short'], `byte ${place}, bit ${bit}: ${reading.kind}`).toContain(reading.kind);
        }
      }
    });
  }

  it('does not believe a length beyond the longest body', () => {
    const long = (bodyBytes: number): FrameReading =>
      read(
        forged(
          samples['one record'] as Uint8Array,
          (view) => {
            view.setUint32(8, bodyBytes, true);
            view.setUint32(28, bodyBytes, true);
          },
          false,
        ),
      );
    expect(long(frameBodyBytesMax)).toEqual({ kind: 'short', byteLength: frameHeaderBytes + frameBodyBytesMax });
    expect(long(frameBodyBytesMax + 4)).toEqual({ kind: 'none' });
    expect(long(2 ** 32 - 4)).toEqual({ kind: 'none' });
  });
});

describe('readFrame, checksums that hold over lies', () => {
  const three = samples['three records, no padding'] as Uint8Array;
  const lies: Readonly<Record<string, (view: DataView) => void>> = {
    'one record more': (view) => view.setUint16(14, 4, true),
    'one record less': (view) => view.setUint16(14, 2, true),
    'bytes behind its records': (view) => {
      view.setUint16(14, 2, true);
      view.setUint32(24, 4, true);
    },
    'no record and no seal': (view) => view.setUint16(14, 0, true),
    'one event more': (view) => view.setUint32(24, 7, true),
    'fewer events than records': (view) => view.setUint32(24, 2, true),
    'first id 0': (view) => view.setUint32(16, 0, true),
    'first id 2^53': (view) => view.setUint32(20, 2 ** 21, true),
    'first id 2^64 - 1': (view) => view.setBigUint64(16, 2n ** 64n - 1n, true),
    'next id 2^53': (view) => view.setBigUint64(16, 2n ** 53n - 6n, true),
    'another plain length': (view) => view.setUint32(28, 52, true),
    'appended at 2^53': (view) => view.setBigUint64(32, 2n ** 53n, true),
    'durable id 2^53': (view) => view.setBigUint64(40, 2n ** 53n, true),
    'a payload longer than the body': (view) => view.setUint32(48, 2 ** 32 - 1, true),
    'a payload into the next record': (view) => view.setUint32(48, 12, true),
    'a last payload past the body': (view) => view.setUint32(48 + 20 + 12, 8, true),
    'a record without events': (view) => {
      view.setUint32(52, 0, true);
      view.setUint32(24, 3, true);
    },
    'a record with too many events': (view) => {
      view.setUint32(52, eventsPerRecordMax + 1, true);
      view.setUint32(24, eventsPerRecordMax + 4, true);
    },
  };
  for (const [name, lie] of Object.entries(lies)) {
    it(`uses no frame with ${name}`, () => {
      expect(read(forged(three, lie))).toEqual({ kind: 'none' });
    });
  }

  it('uses no seal that says it is empty and is not', () => {
    const sealed = samples['a seal with records'] as Uint8Array;
    expect(read(forged(sealed, (view) => view.setUint16(14, 0, true)))).toEqual({ kind: 'none' });
  });

  it('tells unknown flags from damage, and only by the checksum', () => {
    for (let bit = 1; bit < 16; bit++) {
      const flags = 1 << bit;
      const flagged = forged(three, (view) => view.setUint16(12, flags, true));
      expect(read(flagged)).toEqual({ kind: 'unknown', byteLength: 96, flags });
      expect(read(forged(flagged, (view) => view.setUint8(60, 0xff), false))).toEqual({ kind: 'none' });
    }
    // What an unknown flag does to the other fields is unknown: they are not judged.
    const odd = forged(three, (view) => {
      view.setUint16(12, 0x8000, true);
      view.setUint32(28, 99, true);
      view.setUint16(14, 0, true);
    });
    expect(read(odd)).toMatchObject({ kind: 'unknown', flags: 0x8000 });
  });

  it('reads a restamped frame under its new marker only', () => {
    const restamped = forged(three, (view) => view.setUint32(0, 0x1234_5678, true), false);
    expect(read(restamped, 0, restamped.length, 0x1234_5678)).toMatchObject({ kind: 'frame' });
    expect(read(restamped)).toEqual({ kind: 'none' });
  });
});

describe('readOwnFrame', () => {
  it('reads what readFrame reads, at any place, without a checksum', () => {
    for (const bytes of Object.values(samples)) {
      const memory = concat(new Uint8Array(16), bytes);
      memory[16 + 4] = ~(memory[16 + 4] ?? 0);
      expect(readOwnFrame(new DataView(memory.buffer), 16)).toEqual(frameIn(bytes));
    }
  });

  it('takes a frame that does not add up for our own bug', () => {
    const wrong = forged(samples['one record'] as Uint8Array, (view) => view.setUint32(24, 9, true));
    expect(() => readOwnFrame(new DataView(wrong.buffer), 0)).toThrow('I3.1');
  });
});

describe('claimedBytes', () => {
  const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer);

  it('gives the length of what could be a frame, of this version or compressed or encrypted', () => {
    const three = samples['three records, no padding'] as Uint8Array;
    expect(claimedBytes(view(three), 0)).toBe(96);
    for (const flags of [0b0_0010, 0b0_1110, 0b1_0000, 0b1_1111]) {
      const compressed = forged(three, (bytes) => {
        bytes.setUint16(12, flags, true);
        bytes.setUint32(28, 4000, true);
      });
      expect(claimedBytes(view(compressed), 0)).toBe(96);
    }
  });

  it('gives 0 for zeros, foreign flags and fields that do not agree', () => {
    const three = samples['three records, no padding'] as Uint8Array;
    expect(claimedBytes(view(new Uint8Array(48)), 0)).toBe(0);
    const wrong: ((bytes: DataView) => void)[] = [
      (bytes) => bytes.setUint32(0, 0, true),
      (bytes) => bytes.setUint16(12, 0b10_0000, true),
      (bytes) => bytes.setUint32(28, 0, true),
      (bytes) => bytes.setUint16(14, 0, true),
      (bytes) => bytes.setUint32(20, 2 ** 21, true),
    ];
    for (const change of wrong) expect(claimedBytes(view(forged(three, change)), 0)).toBe(0);
  });
});

describe('decodeRecords', () => {
  it('lists the records of one frame after another in the same table', () => {
    const bytes = concat(samples['one record'] as Uint8Array, samples['three records, no padding'] as Uint8Array);
    const view = new DataView(bytes.buffer);
    const table = createRecordTable(1);
    const second = (samples['one record'] as Uint8Array).length + frameHeaderBytes;
    decodeRecords(view, second, 3, table);
    expect(table.recordCount).toBe(3);
    expect([...table.payloadOffsets.subarray(0, 3)]).toEqual([second + 12, second + 32, second + 44]);
    expect([...table.payloadLengths.subarray(0, 3)]).toEqual([8, 0, 4]);
    expect([...table.events.subarray(0, 3)]).toEqual([3, 1, 2]);
    expect([...table.metadata.subarray(0, 3)]).toEqual([7, 0, 0]);
    decodeRecords(view, frameHeaderBytes, 1, table);
    expect(table.recordCount).toBe(1);
    expect(table.payloadLengths[0]).toBe(5);
  });

  it('takes the fullest frame there can be', () => {
    const records = Array.from({ length: recordsPerFrameMax }, () => record(0));
    const bytes = frameOf(marker, { firstId: 1, records });
    expect(frameIn(bytes)).toMatchObject({ recordCount: recordsPerFrameMax, eventCount: recordsPerFrameMax });
    const table = createRecordTable();
    decodeRecords(new DataView(bytes.buffer), frameHeaderBytes, recordsPerFrameMax, table);
    expect(table.events[recordsPerFrameMax - 1]).toBe(1);
    expect(table.payloadOffsets[recordsPerFrameMax - 1]).toBe(frameHeaderBytes + recordsPerFrameMax * 12);
  });
});
