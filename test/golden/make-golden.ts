// Makes the golden directory of a format version: a small buffer as a process of that version left it when the power
// failed, and beside it what a reader must find there. Run it once for a version and never again for it: the files are
// the promise that what was written then can be read now.
//
//   node --conditions=spillway-source test/golden/make-golden.ts

import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { formatVersion } from '../../src/engine/segment-header.ts';
import { BufferRig, bytesOf, framesIn, segmentName, textOf } from '../buffer-rig.ts';
import { concat, frameOf } from '../segment-bytes.ts';
import type { GoldenContents, GoldenRecord } from './golden-contents.ts';

/** Three segments. The first one is sealed, the second one closed, the third lies beyond the ledger and ends torn. */
async function makeGolden(): Promise<{ readonly files: Map<string, Uint8Array>; readonly contents: GoldenContents }> {
  const rig = new BufferRig({ seed: 1 });
  const first = await rig.open({ cursors: ['default', 'second'] });
  await rig.run(first.append(bytesOf('hello')));
  await rig.run(first.append(bytesOf('three events'), { events: 3, metadata: 258 }));
  await rig.run(first.append(new Uint8Array(0), { metadata: 2 ** 32 - 1 }));
  await rig.close(first);
  const second = await rig.open({ cursors: ['default', 'second'] });
  const batch = ['one', 'batch', 'of', 'four'].map((text, at) => ({ payload: bytesOf(text), events: at + 1 }));
  await rig.run(second.appendBatch(batch));
  await rig.run(second.append(bytesOf('é€😀'.repeat(20))));
  (await rig.read(second.cursor('default'), { maxRecords: 2 })).ack();
  (await rig.read(second.cursor('second'), { maxRecords: 5 })).settle(['ack', 'ack', { reject: 'no' }, 'ack', 'ack']);
  await rig.close(second);
  const third = await rig.open({ cursors: ['default', 'second'] });
  await rig.world.advance(1_000);
  await rig.append(third, 'beyond the ledger');
  rig.crash('all');
  const files = new Map([...rig.segments(), 'ledger'].map((name) => [name, rig.bytes(name)]));
  const contents = await readContents(rig);
  seal(files, segmentName(1));
  const last = files.get(segmentName(3)) as Uint8Array;
  files.set(segmentName(3), concat(last, last.subarray(4096, 4096 + 40))); // A frame that was being written.
  return { files, contents };
}

/** A segment is sealed when it is full, and a full one is too large for a fixture. */
function seal(files: Map<string, Uint8Array>, name: string): void {
  const bytes = files.get(name) as Uint8Array;
  const marker = new DataView(bytes.buffer, bytes.byteOffset).getUint32(40, true);
  const firstId = framesIn(bytes).at(-1)?.nextId ?? 1;
  files.set(name, concat(bytes, frameOf(marker, { firstId, records: [], seal: true })));
}

async function readContents(left: BufferRig): Promise<GoldenContents> {
  const rig = left.copy();
  const buffer = await rig.open({ cursors: ['default', 'second'] });
  await rig.until(() => buffer.stats().state === 'open');
  const { uuid, epoch, frontiers, cursors } = buffer.stats();
  const all = buffer.cursor('all');
  const records: GoldenRecord[] = [];
  while (all.nextId < frontiers.durable) {
    const delivery = await rig.read(all);
    for (const { id, events, metadata, payload, key } of delivery.records) {
      records.push({ id, events, metadata, text: textOf(payload), key });
    }
    delivery.ack();
  }
  const positions = cursors.map(({ name, nextId }) => [name, nextId] as const);
  return { uuid, epoch, nextId: frontiers.durable, cursors: positions, records };
}

const { files, contents } = await makeGolden();
const directory = join(import.meta.dirname, 'fixtures', `v${formatVersion}`);
for (const [name, bytes] of files) {
  const path = join(directory, 'buffer', name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, bytes, { flag: 'wx' });
}
writeFileSync(join(directory, 'contents.json'), `${JSON.stringify(contents, undefined, 2)}\n`, { flag: 'wx' });
