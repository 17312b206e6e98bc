// The writer of the tour: a process of its own, because it is going to be killed. It appends as fast as the disk lets
// it, delivers a part to a slow consumer, and reports what it was promised: node writer.ts <directory>
import { writeSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { type Cursor, DiskBuffer } from 'spillway';
import { payloadOf } from './records.ts';
import { acceptedFields, encodeReport, type Progress, reportKinds } from './reports.ts';

const appenders = 256;
const progressIntervalMs = 100;
/** The consumer gets this share of what is accepted, so that a backlog builds up on a disk of any speed. */
const consumedShare = 0.6;
const consumerPauseMs = 4;
const reportDescriptor = 3;

const directory = process.argv[2];
if (directory === undefined) throw new Error('usage: node writer.ts <directory>');

let appended = 0;
let accepted = 0;
let delivered = 0;
let gathered: number[] = [];
let isFlushing = false;

function report(kind: number, body: Uint8Array): void {
  const bytes = encodeReport(kind, body);
  for (let done = 0; done < bytes.length; ) done += writeSync(reportDescriptor, bytes, done);
}

const bytesOf = (numbers: readonly number[]): Uint8Array => new Uint8Array(Uint32Array.from(numbers).buffer);

/** One report for all records of one commit: they are accepted in the same turn. */
function flush(): void {
  isFlushing = false;
  const numbers = gathered;
  gathered = [];
  report(reportKinds.accepted, bytesOf(numbers));
  accepted += numbers.length / acceptedFields;
}

async function append(buffer: DiskBuffer): Promise<never> {
  for (;;) {
    const number = appended;
    appended += 1;
    const startedMs = performance.now();
    const result = await buffer.append(payloadOf(number), { metadata: number });
    if (result.status !== 'stored') throw new Error(`record ${number} was dropped: ${result.reason}`);
    gathered.push(number, result.recordId, Math.round((performance.now() - startedMs) * 1_000));
    if (isFlushing) continue;
    isFlushing = true;
    setImmediate(flush);
  }
}

async function consume(cursor: Cursor): Promise<void> {
  for (;;) {
    const delivery = await cursor.read({ maxRecords: 200 });
    if (delivery === undefined) return;
    // Reported before the acknowledgement: a consumer has done its work before it says so.
    const numbers = delivery.records.flatMap(({ metadata, id }) => [metadata, id]);
    report(reportKinds.delivered, bytesOf(numbers));
    delivery.ack();
    delivered += delivery.records.length;
    do await delay(consumerPauseMs);
    while (delivered > consumedShare * accepted);
  }
}

const buffer = await DiskBuffer.open({ path: directory, maxBytes: 8 * 1024 ** 3, segmentBytes: 16 * 1024 ** 2 });
const startedMs = performance.now();
setInterval(() => {
  const { disk, work, totals } = buffer.stats();
  const progress: Progress = {
    appended,
    accepted,
    payloadBytes: totals.appended.bytes,
    diskBytes: disk.usedBytes,
    syncs: work.syncs,
    elapsedMs: performance.now() - startedMs,
  };
  report(reportKinds.progress, new TextEncoder().encode(JSON.stringify(progress)));
}, progressIntervalMs);
await Promise.all([consume(buffer.cursor('default')), ...Array.from({ length: appenders }, () => append(buffer))]);
