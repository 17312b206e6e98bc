// Every option at, below and above its range, and the sizes that follow.
import { describe, expect, test } from 'vitest';
import { UsageError } from '../base/errors.ts';
import { GiB, KiB, MiB } from '../base/units.ts';
import { frameBytes } from './frame.ts';
import { ledgerBytes } from './ledger-slot.ts';
import { checkCursorName, type DiskBufferOptions, type Limits, resolveLimits } from './limits.ts';
import { sealBytes } from './log-buffer-slots.ts';
import { segmentHeaderBytes } from './segment-header.ts';

type Options = Partial<DiskBufferOptions>;
const resolve = (options: Options = {}): Limits => resolveLimits({ path: '/data', ...options });

function refusal(options: unknown): UsageError {
  try {
    resolve(options as Options);
  } catch (cause) {
    expect(cause).toBeInstanceOf(UsageError);
    return cause as UsageError;
  }
  throw new Error(`expected a refusal of ${JSON.stringify(options)}`);
}

test('the defaults are those of the design', () => {
  expect(resolve()).toEqual({
    maxBytes: 256 * MiB,
    durability: 'sync',
    whenFull: 'block',
    cursors: [{ name: 'default', from: 'oldest' }],
    segmentBytes: 16 * MiB,
    frameBytesMax: 64 * KiB,
    publishIntervalMs: 100,
    syncIntervalMs: 100,
    lingerMs: 5,
    maxUnsyncedBytes: 16 * MiB,
    maxUnsettledBytes: 16 * MiB,
    closeTimeoutMs: 5000,
    lockTimeoutMs: 30_000,
    readsDurable: true,
    keepsUntilDurable: true,
    slotBytes: 1 * MiB,
    slotsMax: 18,
    maxRecordBytes: 16 * MiB - 12 * KiB,
    admissionBytes: 240 * MiB - 16 * KiB,
    quarantineBytesMax: 32 * MiB,
  });
});

describe('a number', () => {
  const largest = Number.MAX_SAFE_INTEGER;
  const timeout = 2 ** 31 - 1;
  const ranges: readonly [keyof Options, number, number, Options?][] = [
    ['maxBytes', 1 * MiB, largest],
    ['segmentBytes', 128 * KiB, 64 * MiB],
    ['segmentBytes', 128 * KiB, 256 * KiB, { maxBytes: 1 * MiB }],
    ['frameBytesMax', 4 * KiB, 1 * MiB - 64],
    ['frameBytesMax', 4 * KiB, 64 * KiB - 64, { maxBytes: 1 * MiB }],
    ['publishIntervalMs', 1, timeout],
    ['syncIntervalMs', 1, timeout],
    ['lingerMs', 0, timeout],
    ['maxUnsyncedBytes', 64 * KiB, largest],
    ['maxUnsettledBytes', 1, largest],
    ['closeTimeoutMs', 0, timeout],
    ['lockTimeoutMs', 0, timeout],
  ];
  test.each(ranges)('%s may be %i .. %i (with %j)', (name, least, most, others = {}) => {
    expect(() => resolve({ ...others, [name]: least })).not.toThrow();
    expect(() => resolve({ ...others, [name]: most })).not.toThrow();
    for (const value of [least - 1, most + 1, least + 0.5, Number.NaN, Number.POSITIVE_INFINITY, `${least}`, null]) {
      if (value === null) continue;
      const error = refusal({ ...others, [name]: value });
      expect(error.code).toBe('SPILLWAY_USAGE_OPTION');
      expect(error.message).toContain(`${name} = ${JSON.stringify(value)}`);
      expect(error.message).toContain(`${least} to ${most}`);
    }
  });
});

describe('a choice', () => {
  test.each(['memory', 'os', 'interval', 'sync'] as const)('durability may be %s', (durability) => {
    expect(resolve({ durability }).durability).toBe(durability);
  });

  test.each(['block', 'drop_newest', 'drop_oldest', 'reject'] as const)('whenFull may be %s', (whenFull) => {
    expect(resolve({ whenFull }).whenFull).toBe(whenFull);
  });

  test.each(['durability', 'whenFull'])('%s may be nothing else', (name) => {
    for (const value of ['', 'SYNC', 'always', 1, 'toString']) {
      expect(refusal({ [name]: value }).code).toBe('SPILLWAY_USAGE_OPTION');
    }
  });
});

describe('cursors', () => {
  const names = (count: number): string[] => Array.from({ length: count }, (_, place) => `c${place}`);

  test('are 1 to 32 different names', () => {
    expect(resolve({ cursors: names(1) }).cursors).toEqual([{ name: 'c0', from: 'oldest' }]);
    expect(resolve({ cursors: names(32) }).cursors).toHaveLength(32);
    const twice = ['a', { name: 'a', from: 'newest' }];
    for (const cursors of [[], names(33), ['a', 'a'], twice, 'default', [1], [''], [null], [{ from: 'oldest' }]]) {
      expect(refusal({ cursors }).code).toBe('SPILLWAY_USAGE_CURSOR');
    }
  });

  test('are copied: the list may change afterwards', () => {
    const cursors = ['a'];
    const limits = resolve({ cursors });
    cursors.push('b');
    expect(limits.cursors).toEqual([{ name: 'a', from: 'oldest' }]);
  });

  test('may say where they begin, and only oldest or newest', () => {
    const cursors = ['a', { name: 'b', from: 'newest' }] as const;
    expect(resolve({ cursors }).cursors).toEqual([{ name: 'a', from: 'oldest' }, cursors[1]]);
    expect(refusal({ cursors: [{ name: 'a', from: 'middle' }] }).code).toBe('SPILLWAY_USAGE_OPTION');
    expect(refusal({ cursors: [{ name: 'a' }] }).message).toContain('cursors[].from');
  });

  test.each(['a', 'A.z_0-9', 'x'.repeat(64), '..'])('may be called %s', (name) => {
    expect(() => checkCursorName(name)).not.toThrow();
  });

  test.each(['', 'x'.repeat(65), 'a b', 'a/b', 'ä', 'a\n', 'a\0'])('may not be called %j', (name) => {
    expect(() => checkCursorName(name)).toThrow(expect.objectContaining({ code: 'SPILLWAY_USAGE_CURSOR' }));
  });
});

describe('sizes that follow', () => {
  test('segmentBytes is maxBytes/16 within 128 KiB .. 64 MiB, at most maxBytes/4, a multiple of 4096', () => {
    const sizes: readonly [number, number][] = [
      [1 * MiB, 128 * KiB],
      [2 * MiB, 128 * KiB],
      [4 * MiB, 256 * KiB],
      [256 * MiB, 16 * MiB],
      [1 * GiB, 64 * MiB],
      [100 * GiB, 64 * MiB],
      [10_000_019, 622_592],
    ];
    for (const [maxBytes, segmentBytes] of sizes) expect(resolve({ maxBytes }).segmentBytes).toBe(segmentBytes);
    expect(resolve({ segmentBytes: 200_001 }).segmentBytes).toBe(196_608);
  });

  test('a slot is 1 MiB or half a segment', () => {
    expect(resolve({ maxBytes: 1 * MiB }).slotBytes).toBe(64 * KiB);
    expect(resolve({ segmentBytes: 1 * MiB }).slotBytes).toBe(512 * KiB);
    expect(resolve({ segmentBytes: 2 * MiB }).slotBytes).toBe(1 * MiB);
    expect(resolve({ segmentBytes: 4 * MiB }).slotBytes).toBe(1 * MiB);
  });

  test('the frame is 64 KiB or what a slot leaves, a multiple of 8', () => {
    expect(resolve({ maxBytes: 1 * MiB }).frameBytesMax).toBe(64 * KiB - 64);
    expect(resolve({ frameBytesMax: 5003 }).frameBytesMax).toBe(5000);
  });

  test('the largest record is a segment less 12 KiB, at most 32 MiB, and fits with header, frame and seal', () => {
    expect(resolve({ maxBytes: 1 * MiB }).maxRecordBytes).toBe(116 * KiB);
    expect(resolve({ maxBytes: 10 * GiB }).maxRecordBytes).toBe(32 * MiB);
    for (const maxBytes of [1 * MiB, 5 * MiB, 256 * MiB, 10 * GiB]) {
      const { maxRecordBytes, segmentBytes } = resolve({ maxBytes });
      expect(segmentHeaderBytes + frameBytes(maxRecordBytes) + sealBytes).toBeLessThanOrEqual(segmentBytes);
    }
  });

  test('admission leaves the ledger and one segment free', () => {
    const { admissionBytes, maxBytes, segmentBytes } = resolve({ maxBytes: 1 * MiB });
    expect(admissionBytes).toBe(maxBytes - ledgerBytes - segmentBytes);
  });

  test('maxUnsyncedBytes is at most maxBytes/4, and slots hold it and two more', () => {
    expect(resolve({ maxBytes: 1 * MiB }).maxUnsyncedBytes).toBe(256 * KiB);
    expect(resolve({ maxUnsyncedBytes: 100 * MiB }).maxUnsyncedBytes).toBe(64 * MiB);
    expect(resolve({ maxBytes: 1 * MiB }).slotsMax).toBe(6);
    expect(resolve({ maxUnsyncedBytes: 64 * KiB }).slotsMax).toBe(3);
    expect(resolve({ durability: 'os' }).slotsMax).toBe(4);
    expect(resolve({ durability: 'memory' }).slotsMax).toBe(4);
  });

  test('the quarantine is at most 64 MiB or maxBytes/8', () => {
    expect(resolve({ maxBytes: 1 * MiB }).quarantineBytesMax).toBe(128 * KiB);
    expect(resolve({ maxBytes: 10 * GiB }).quarantineBytesMax).toBe(64 * MiB);
  });

  test('who waits for the disk follows from the durability', () => {
    const kept = (['memory', 'os', 'interval', 'sync'] as const).map((durability) => {
      const { readsDurable, keepsUntilDurable } = resolve({ durability });
      return [readsDurable, keepsUntilDurable];
    });
    expect(kept).toEqual([
      [false, false],
      [false, false],
      [false, true],
      [true, true],
    ]);
  });
});
