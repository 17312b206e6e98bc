// The contract is checked by the compiler: `npm run types` fails where DiskBuffer, or what it hands out, leaves it.

import { expect, expectTypeOf, it } from 'vitest';
import { BufferRig, bytesOf } from '../../test/buffer-rig.ts';
import type { DiskBuffer } from '../engine/disk-buffer.ts';
import type { BufferStats } from '../engine/disk-buffer-stats.ts';
import type { Cursor } from '../engine/ordered-finalizer-cursor.ts';
import type { DeliveredRecord, Delivery } from '../engine/ordered-finalizer-delivery.ts';
import type {
  BufferContract,
  CursorContract,
  DeliveryContract,
  RecordContract,
  StatsContract,
} from './buffer-contract.ts';

it('is satisfied by DiskBuffer', () => {
  expectTypeOf<DiskBuffer>().toExtend<BufferContract>();
  expectTypeOf<Cursor>().toExtend<CursorContract>();
  expectTypeOf<Delivery>().toExtend<DeliveryContract>();
  expectTypeOf<DeliveredRecord>().toExtend<RecordContract>();
  expectTypeOf<BufferStats>().toExtend<StatsContract>();
});

it('is not satisfied by less', () => {
  expectTypeOf<Omit<DiskBuffer, 'commit'>>().not.toExtend<BufferContract>();
  expectTypeOf<Omit<Cursor, 'read'>>().not.toExtend<CursorContract>();
  expectTypeOf<Omit<Delivery, 'unsettled'>>().not.toExtend<DeliveryContract>();
});

it('is enough to use a buffer', async () => {
  const rig = new BufferRig();
  const buffer: BufferContract = await rig.open();
  expect(buffer.tryAppend(bytesOf('a'), { events: 2 })).toBe('accepted');
  await rig.run(buffer.ready());
  await rig.run(buffer.appendBatch([{ payload: bytesOf('b') }]));
  await rig.run(buffer.commit());
  const delivery = await rig.run(buffer.cursor('default').read({ maxRecords: 5 }));
  expect(delivery?.records.map(({ id, events }) => [id, events])).toEqual([
    [1, 2],
    [3, 1],
  ]);
  delivery?.settle(['ack', { reject: 'no' }]);
  expect(buffer.stats()).toMatchObject({ state: 'open', cursors: [{ nextId: 4, backlog: { events: 0 } }] });
  await rig.run(buffer.close());
});
