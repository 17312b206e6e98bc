// A disk of 16 MiB under a buffer that may have 64: the disk is full long before the buffer is. Appends wait, are
// refused or dropped, as the policy says; when room comes back everything goes on; what was accepted is there in the
// end.
import { closeSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { type AppendResult, DiskBuffer, type DiskBufferOptions, isStorageError } from '../src/index.ts';
import { DiskImage, MemoryDisk } from './disk-image.ts';
import { LoadProcess } from './load-process.ts';
import { Promises } from './promises.ts';
import { inspect, readToEnd } from './reading.ts';
import { needs } from './requirements.ts';

const KiB = 1024;
const MiB = 1024 * KiB;
const diskBytes = 16 * MiB;
const recordBytes = 16 * KiB;
/** Far more than fits. */
const recordCount = 1_600;
const timeoutMs = 120_000;

type Disk = { readonly directory: string; remove(): void };
let disk: Disk | undefined;

afterEach(() => {
  disk?.remove();
  disk = undefined;
});

function makeDisk(kind: 'ext4' | 'tmpfs'): Disk {
  if (kind === 'tmpfs') {
    disk = new MemoryDisk(diskBytes);
  } else {
    const image = new DiskImage('ext4', diskBytes);
    disk = image;
    image.mount();
  }
  return disk;
}

function freeBytes(directory: string): number {
  const { bavail, bsize } = statfsSync(directory);
  return bavail * bsize;
}

/** Takes all room but so much. Returns what gives it back. */
function ballast(directory: string, leaveBytes: number): () => void {
  const path = join(directory, 'ballast');
  const descriptor = openSync(path, 'a');
  try {
    for (;;) {
      const left = freeBytes(directory) - leaveBytes;
      if (left <= 0) break;
      writeSync(descriptor, new Uint8Array(Math.min(left, 64 * KiB)));
    }
  } catch (error) {
    expect(error).toMatchObject({ code: 'ENOSPC' });
  } finally {
    closeSync(descriptor);
  }
  return () => rmSync(path);
}

function optionsFor(directory: string, options: Partial<DiskBufferOptions> = {}): DiskBufferOptions {
  return {
    path: join(directory, 'buffer'),
    maxBytes: 64 * MiB,
    segmentBytes: 1 * MiB,
    // Little memory, so that a stall is soon felt.
    maxUnsyncedBytes: 1 * MiB,
    maxUnsettledBytes: 64 * MiB,
    closeTimeoutMs: 100,
    ...options,
  };
}

function payload(number: number): Uint8Array {
  const bytes = new Uint8Array(recordBytes).fill(number % 251);
  new DataView(bytes.buffer).setUint32(0, number);
  return bytes;
}

function appendAll(buffer: DiskBuffer, count = recordCount): Promise<AppendResult>[] {
  return Array.from({ length: count }, (_, number) => buffer.append(payload(number), { metadata: number }));
}

function once(buffer: DiskBuffer, name: 'stalled' | 'resumed' | 'failed' | 'segment_freed'): Promise<void> {
  return new Promise((resolve) => {
    const unlisten = buffer.events.on(name, () => {
      unlisten();
      resolve();
    });
  });
}

/** The numbers of all stored records, in order of their ids. */
function storedNumbers(results: readonly PromiseSettledResult<AppendResult>[]): number[] {
  return results.flatMap((result, number) =>
    result.status === 'fulfilled' && result.value.status === 'stored' ? [number] : [],
  );
}

/** Every record that can be read, compared with what was appended. */
async function readNumbers(buffer: DiskBuffer): Promise<number[]> {
  const { reading, deliveries } = await readToEnd(buffer, 'default');
  for (const record of reading.records) {
    if (Buffer.compare(record.payload, payload(record.metadata)) !== 0) throw new Error(`record ${record.id} differs`);
  }
  for (const delivery of deliveries) delivery.ack();
  return reading.records.map((record) => record.metadata);
}

describe.each(['ext4', 'tmpfs'] as const)('a full %s', (kind) => {
  const scene = (name: string, run: (directory: string) => Promise<void>): void => {
    test(name, { timeout: timeoutMs }, async (context) => {
      const reason = kind === 'ext4' ? needs('linux', 'root', 'loop-device', 'mkfs.ext4') : needs('linux', 'root');
      if (reason !== undefined) context.skip(reason);
      await run(makeDisk(kind).directory);
    });
  };

  scene('makes appends wait, and lets them go on when room comes back', async (directory) => {
    const giveBack = ballast(directory, 3 * MiB);
    const buffer = await DiskBuffer.open(optionsFor(directory));
    const stalled = once(buffer, 'stalled');
    const resumed = once(buffer, 'resumed');
    let accepted = 0;
    const appends = appendAll(buffer, 500);
    for (const append of appends) void append.then(() => (accepted += 1));
    await stalled;
    const { state, waitingAppends, failure } = buffer.stats();
    expect({ state, isFull: isStorageError(failure, 'full') }).toEqual({ state: 'stalled', isFull: true });
    expect(waitingAppends).toBeGreaterThan(0);
    expect(accepted).toBeLessThan(500);
    giveBack();
    await resumed;
    await Promise.all(appends);
    expect(await readNumbers(buffer)).toEqual(Array.from({ length: 500 }, (_, number) => number));
    await buffer.close();
  });

  scene('refuses appends where that is the policy', async (directory) => {
    const giveBack = ballast(directory, 3 * MiB);
    const buffer = await DiskBuffer.open(optionsFor(directory, { whenFull: 'reject' }));
    const appends = appendAll(buffer);
    const settled = Promise.allSettled(appends);
    await expect(Promise.all(appends)).rejects.toMatchObject({ code: 'SPILLWAY_STORAGE_FULL', kind: 'full' });
    giveBack();
    const results = await settled;
    const reasons = results.flatMap((result) => (result.status === 'rejected' ? [String(result.reason)] : []));
    expect(reasons.every((text) => text.includes('disk_full'))).toBe(true);
    const stored = storedNumbers(results);
    expect(stored.length + reasons.length).toBe(recordCount);
    expect(await readNumbers(buffer)).toEqual(stored);
    await buffer.append(payload(0), { metadata: 0 });
    await buffer.close();
  });

  scene('drops what is new where that is the policy, and counts it', async (directory) => {
    const giveBack = ballast(directory, 3 * MiB);
    const buffer = await DiskBuffer.open(optionsFor(directory, { whenFull: 'drop_newest' }));
    const appends = appendAll(buffer);
    const settled = Promise.allSettled(appends);
    await Promise.race(appends.map((append) => append.then((result) => result.status === 'dropped' || never)));
    giveBack();
    const stored = storedNumbers(await settled);
    const dropped = recordCount - stored.length;
    expect(dropped).toBeGreaterThan(0);
    expect(buffer.stats().totals.removed.disk_full).toEqual({ events: dropped, bytes: dropped * recordBytes });
    expect(await readNumbers(buffer)).toEqual(stored);
    await buffer.close();
  });

  scene('gets room from what its consumer acknowledges', async (directory) => {
    const buffer = await DiskBuffer.open(optionsFor(directory));
    const stalled = once(buffer, 'stalled');
    const appends = Promise.all(appendAll(buffer));
    await stalled;
    const numbers: number[] = [];
    const cursor = buffer.cursor('default');
    while (numbers.length < recordCount) {
      const delivery = await cursor.read();
      if (delivery === undefined) break;
      numbers.push(...delivery.records.map((record) => record.metadata));
      delivery.ack();
    }
    await appends;
    expect(numbers).toEqual(Array.from({ length: recordCount }, (_, number) => number));
    await buffer.close();
  });

  scene('is no obstacle to closing and opening', async (directory) => {
    const buffer = await DiskBuffer.open(optionsFor(directory));
    const stalled = once(buffer, 'stalled');
    const settled = Promise.allSettled(appendAll(buffer));
    await stalled;
    // What was not accepted cannot be made durable either, and close says so.
    await expect(buffer.close()).rejects.toMatchObject({ kind: 'full' });
    const accepted = storedNumbers(await settled);
    expect(accepted.length).toBeGreaterThan(100);
    for (let time = 0; time < 3; time++) {
      ballast(directory, 0);
      const again = await DiskBuffer.open(optionsFor(directory));
      const { reading } = await readToEnd(again, 'default');
      // What was rejected may be there as well: behind everything accepted.
      expect(reading.records.slice(0, accepted.length).map((record) => record.metadata)).toEqual(accepted);
      await again.close();
    }
    const last = await DiskBuffer.open(optionsFor(directory));
    const freed = once(last, 'segment_freed');
    await readNumbers(last);
    await freed;
    await last.append(payload(7), { metadata: 7 });
    expect(await readNumbers(last)).toEqual([7]);
    await last.close();
  });

  scene('loses nothing when the process is killed on it', async (directory) => {
    const options = optionsFor(directory);
    const plan = { seed: `full/${kind}`, segmentBytes: 1 * MiB };
    const promises = new Promises(plan, 'default');
    for (let life = 1; life <= 3; life++) {
      const load = new LoadProcess({ plan, life, buffer: options, appenders: 64, records: 1_000_000 });
      await load.until(() => load.lines.includes('stalled'));
      await load.kill();
      ballast(directory, 0);
      promises.take(life, load.lines);
      await inspect(options, promises);
    }
    expect(promises.acceptedCount).toBeGreaterThan(100);
  });
});

/** A promise for a race that others are to win. */
const never = new Promise<never>(() => undefined);

test('a file system that turns read-only ends writing, not reading; a new mount recovers', {
  timeout: timeoutMs,
}, async (context) => {
  const reason = needs('linux', 'root', 'loop-device', 'mkfs.ext4');
  if (reason !== undefined) context.skip(reason);
  const image = new DiskImage('ext4', diskBytes);
  disk = image;
  image.mount();
  const options = optionsFor(image.directory);
  const buffer = await DiskBuffer.open(options);
  for (let number = 0; number < 50; number++) await buffer.append(payload(number), { metadata: number });
  const failed = once(buffer, 'failed');
  image.remount('abort');
  const refused = buffer.append(payload(50), { metadata: 50 });
  await expect(refused).rejects.toBeInstanceOf(Error);
  await failed;
  expect(buffer.stats().state).toBe('failed');
  const { reading } = await readToEnd(buffer, 'default');
  const expected = Array.from({ length: 50 }, (_, number) => number);
  expect(reading.records.slice(0, 50).map((record) => record.metadata)).toEqual(expected);
  await expect(buffer.close()).rejects.toBeInstanceOf(Error);
  await expect(DiskBuffer.open(options)).rejects.toMatchObject({ kind: 'read_only' });
  await image.unmount();
  image.mount();
  const again = await DiskBuffer.open(options);
  expect((await readNumbers(again)).slice(0, 50)).toEqual(expected);
  await again.append(payload(51), { metadata: 51 });
  await again.close();
});
