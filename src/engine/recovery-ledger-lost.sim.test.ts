// Both slots of the ledger are lost: what segments alone can tell, and what must not be mistaken.

import { describe, expect, it } from 'vitest';
import { BufferRig, bufferPath, segmentName } from '../../test/buffer-rig.ts';
import { encodeSegmentHeader } from './segment-header.ts';

function zero(rig: BufferRig, name: string): void {
  rig.disk.damage(`${bufferPath}/${name}`, 0, new Uint8Array(rig.bytes(name).length));
}

describe('a lost ledger', () => {
  it('keeps ids and epochs ascending when the youngest segments are lost as well', async () => {
    const rig = await BufferRig.threeSegments();
    for (const name of ['ledger', segmentName(2), segmentName(3)]) zero(rig, name);
    const buffer = await rig.open();
    expect(buffer.opening).toMatchObject({ clean: false, ledger: 'lost' });
    expect(buffer.opening.damage.map(({ code }) => code)).toContain('SPILLWAY_DAMAGE_LEDGER');
    const [id] = await rig.append(buffer, 'new');
    const seen = await rig.readTo(buffer.cursor('default'), (id as number) + 1);
    expect(seen.map(({ text }) => text)).toEqual(['1', '2', '3', 'new']);
    expect(id).toBe(4);
    // Two segments whose epochs nobody knows any more: their records may have been delivered under keys of theirs.
    expect(seen.at(-1)?.key).toBe(`${buffer.stats().uuid}/4-4`);
    await rig.close(buffer);
  });

  it('does not take a stranger that bears the next number for the owner', async () => {
    const rig = await BufferRig.threeSegments();
    const { uuid } = (await closing(rig)).stats();
    const header = { formatVersion: 1, features: 0, segmentNumber: 9, epoch: 7, salt: 5, firstId: 1, createdAt: 0 };
    const foreign = '00000000-1111-4222-8333-444444444444';
    rig.plant(segmentName(9), encodeSegmentHeader({ ...header, uuid: foreign, alignment: 8 }));
    zero(rig, 'ledger');
    const buffer = await rig.open();
    expect(buffer.stats().uuid).toBe(uuid);
    const seen = await rig.readTo(buffer.cursor('default'), 10);
    expect(seen.map(({ id }) => id)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(rig.segments()).toContain(segmentName(9));
    await rig.close(buffer);
  });
});

describe('a file with the highest number there can be', () => {
  it('is foreign: it leaves numbers for our own segments', async () => {
    const rig = await BufferRig.threeSegments();
    rig.plant('9007199254740991.seg', new Uint8Array(5000).fill(1));
    const buffer = await rig.open();
    await rig.append(buffer, 'new');
    expect(rig.segments()).toContain(segmentName(4));
    const seen = await rig.readTo(buffer.cursor('default'), 11);
    expect(seen.at(-1)?.text).toBe('new');
    await rig.close(buffer);
    expect(rig.names()).toContain('9007199254740991.seg');
  });
});

describe('one lost slot', () => {
  it('is reported, and costs repeats at most', async () => {
    const rig = await BufferRig.threeSegments();
    rig.disk.damage(`${bufferPath}/ledger`, 100, new Uint8Array(16).fill(0xee));
    const buffer = await rig.open();
    expect(buffer.opening).toMatchObject({ clean: false, ledger: 'one_slot' });
    const seen = await rig.readTo(buffer.cursor('default'), 10);
    expect(seen.map(({ id }) => id)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    await rig.close(buffer);
  });
});

describe('a cursor that is required from now on', () => {
  it('starts with the backlog that is really there, whatever became of the rest', async () => {
    const rig = new BufferRig();
    const first = await rig.open();
    await rig.append(first, 'gone', 'gone too', 'here');
    const delivery = await rig.read(first.cursor('default'), { maxRecords: 2 });
    delivery.reject('not wanted');
    await rig.close(first);
    const second = await rig.open({ cursors: ['default', 'later'] });
    for (const { name, backlog } of second.stats().cursors.filter(({ nextId }) => nextId === 3)) {
      expect([name, backlog]).toEqual([name, { events: 1, bytes: 4 }]);
    }
    expect(second.stats().backlog).toEqual(second.stats().cursors.find(({ name }) => name === 'later')?.backlog);
    await rig.close(second);
  });
});

/** Opens and closes, for what the stats say. */
async function closing(rig: BufferRig) {
  const buffer = await rig.open();
  await rig.close(buffer);
  return buffer;
}
