// Builds up a backlog and drains it, in a process that does nothing else, and says how much memory it took on the way.
import { DiskBuffer, type Durability } from '../../src/index.ts';
import { maxBytes } from './buffers.ts';
import { answer, taskOfThisProcess } from './children.ts';
import { Records } from './records.ts';

export type MemoryTask = { readonly path: string; readonly durability: Durability; readonly backlogBytes: number };
export type Peak = { rss: number; heapUsed: number; external: number };
export type MemoryUse = {
  /** Before the buffer was opened. */
  readonly before: Peak;
  /** The highest values while the backlog grew, and while it was drained. */
  readonly filling: Peak;
  readonly draining: Peak;
  /** What is in use once the whole backlog lies on disk, after a collection. */
  readonly held: Peak;
};

const { path, durability, backlogBytes } = taskOfThisProcess<MemoryTask>();
const records = new Records(1_024);
const count = Math.ceil(backlogBytes / records.payloadBytes);

const before = memoryNow();
const buffer = await DiskBuffer.open({ path, maxBytes, durability });
const filling = { ...before };
while (records.sent < count) {
  if (buffer.tryAppend(records.next) === 'accepted') records.took();
  else await buffer.ready();
  if (records.sent % 1_024 === 0) raise(filling, memoryNow());
}
await buffer.commit();
globalThis.gc?.();
const held = memoryNow();

const draining = memoryNow();
const cursor = buffer.cursor('default');
while (records.checked < count) {
  const delivery = await cursor.read();
  if (delivery === undefined) throw new Error('the buffer was closed');
  records.check(delivery);
  delivery.ack();
  raise(draining, memoryNow());
}
await buffer.close();
const use: MemoryUse = { before, filling, draining, held };
await answer(use);
process.disconnect();

function memoryNow(): Peak {
  const { rss, heapUsed, external } = process.memoryUsage();
  return { rss, heapUsed, external };
}

function raise(peak: Peak, now: Peak): void {
  peak.rss = Math.max(peak.rss, now.rss);
  peak.heapUsed = Math.max(peak.heapUsed, now.heapUsed);
  peak.external = Math.max(peak.external, now.external);
}
