// A backlog that builds up and drains, several times, and the memory that it takes:
//   node --expose-gc soak.ts <directory> <MiB> <rounds>
// It prints one line of JSON a sample: how large the backlog is, and what is in use after a collection.
import { writeSync } from 'node:fs';
import { DiskBuffer } from '../../src/index.ts';

export type Sample = {
  readonly phase: 'empty' | 'filling' | 'draining' | 'drained';
  readonly backlogBytes: number;
  readonly heapBytes: number;
  readonly externalBytes: number;
  readonly residentBytes: number;
};

const MiB = 1024 * 1024;
const recordBytes = 1_000;
const samplesPerPhase = 16;
const [path = '', size = '512', rounds = '1'] = process.argv.slice(2);
const backlogBytes = Number(size) * MiB;
const collect = globalThis.gc;
if (collect === undefined) throw new Error('start with --expose-gc');

const buffer = await DiskBuffer.open({ path, maxBytes: 4 * backlogBytes, durability: 'interval' });

async function sample(phase: Sample['phase']): Promise<void> {
  // Twice with a turn between: what a finalizer lets go of is collected the second time.
  collect?.();
  await new Promise((resolve) => setImmediate(resolve));
  collect?.();
  const { heapUsed, external, rss } = process.memoryUsage();
  const { bytes } = buffer.stats().backlog;
  const line: Sample = {
    phase,
    backlogBytes: bytes,
    heapBytes: heapUsed,
    externalBytes: external,
    residentBytes: rss,
  };
  writeSync(1, `${JSON.stringify(line)}\n`);
}

const recordCount = Math.ceil(backlogBytes / recordBytes);
const every = Math.ceil(recordCount / samplesPerPhase);
const payload = new Uint8Array(recordBytes);

async function fill(): Promise<void> {
  for (let count = 0; count < recordCount; ) {
    new DataView(payload.buffer).setUint32(0, count);
    const result = buffer.tryAppend(payload);
    if (result === 'accepted') {
      count += 1;
      if (count % every === 0) await sample('filling');
    } else if (result === 'wait') {
      await buffer.ready();
    } else {
      throw new Error(`record ${count} was refused: ${result}`);
    }
  }
  await buffer.commit();
}

async function drain(): Promise<void> {
  for (let read = 0; read < recordCount; ) {
    const delivery = await cursor.read();
    if (delivery === undefined) throw new Error('the buffer ended before its backlog');
    for (const record of delivery.records) {
      const number = new DataView(record.payload.buffer, record.payload.byteOffset).getUint32(0);
      if (number !== read) throw new Error(`record ${read} came back as ${number}`);
      read += 1;
      if (read % every === 0) await sample('draining');
    }
    delivery.ack();
  }
}

const cursor = buffer.cursor('default');
await sample('empty');
for (let round = 0; round < Number(rounds); round++) {
  await fill();
  await drain();
  await sample('drained');
}
await buffer.close();
