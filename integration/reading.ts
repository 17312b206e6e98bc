// Opens a buffer after a crash and reads everything that a cursor has not acknowledged.
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Delivery } from '../src/index.ts';
import { DiskBuffer, type DiskBufferOptions } from '../src/index.ts';
import type { Promises, Reading } from './promises.ts';

/** Far beyond what a reading takes: a reader that waits for records that never come ends with an error. */
const readTimeoutMs = 60_000;

/** Reads from where the cursor is to the end of the log. Nothing is settled. */
export async function readToEnd(
  buffer: DiskBuffer,
  name: string,
): Promise<{ readonly reading: Reading; readonly deliveries: readonly Delivery[] }> {
  const cursor = buffer.cursor(name);
  const fromId = cursor.nextId;
  const { state, frontiers } = buffer.stats();
  // What a failed buffer could not make durable is handed out to nobody.
  const endId = state === 'failed' ? frontiers.durable : frontiers.reserved;
  const deliveries: Delivery[] = [];
  let nextId = fromId;
  let lostEvents = 0;
  const unlisten = buffer.events.on('lost', (lost) => {
    if (lost.cursor !== name) return;
    lostEvents += lost.events;
    nextId += lost.events;
  });
  const signal = AbortSignal.timeout(readTimeoutMs);
  while (nextId < endId) {
    const delivery = await cursor.read({ signal });
    if (delivery === undefined) break;
    deliveries.push(delivery);
    const last = delivery.records.at(-1);
    if (last !== undefined) nextId = last.id + last.events;
  }
  unlisten();
  const records = deliveries.flatMap((delivery) => delivery.records);
  return { reading: { cursor: name, fromId, endId, records, lostEvents }, deliveries };
}

export type Inspection = {
  readonly openMs: number;
  readonly records: number;
  readonly epoch: number;
};

/**
 * Opens the buffer, reads it by each of its cursors, holds what was read to the promises, and closes it again.
 * `acknowledge` are the cursors for which everything is then acknowledged.
 */
export async function inspect(
  options: DiskBufferOptions,
  promises: Promises,
  acknowledge: readonly string[] = [],
): Promise<Inspection> {
  const startedMs = performance.now();
  const buffer = await DiskBuffer.open({
    ...options,
    closeTimeoutMs: 0,
    lockTimeoutMs: 5_000,
    maxUnsettledBytes: 2 ** 30,
  });
  const openMs = performance.now() - startedMs;
  let records = 0;
  try {
    for (const given of options.cursors ?? ['default']) {
      const name = typeof given === 'string' ? given : given.name;
      const { reading, deliveries } = await readToEnd(buffer, name);
      promises.check(reading);
      records += reading.records.length;
      if (!acknowledge.includes(name)) continue;
      promises.settling(
        name,
        reading.records.map((record) => record.id),
      );
      for (const delivery of deliveries) delivery.ack();
    }
    buffer.recount();
    return { openMs, records, epoch: buffer.stats().epoch };
  } finally {
    await buffer.close();
  }
}

/** Bytes of all files in a buffer's directory, those in quarantine included. */
export function bytesInDirectory(directory: string): number {
  let sum = 0;
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) sum += statSync(join(entry.parentPath, entry.name)).size;
  }
  return sum;
}
