import { describe, expect, it } from 'vitest';
import { BufferRig, bufferPath } from '../../test/buffer-rig.ts';
import { inspectBuffer } from './disk-buffer-inspection.ts';
import { verifyBuffer } from './disk-buffer-verification.ts';

const large = 'x'.repeat(40_000);

function optionsOf(rig: BufferRig) {
  const { fileSystem, random } = rig.process;
  return { path: bufferPath, fileSystem, random };
}

const inspect = (rig: BufferRig) => rig.run(inspectBuffer(optionsOf(rig)));
const verify = (rig: BufferRig, isPortable = false) => rig.run(verifyBuffer({ ...optionsOf(rig), isPortable }));

/** Every byte of the directory: what a look must not change. */
async function bytesOf(rig: BufferRig): Promise<string> {
  const entries = await rig.run(rig.process.fileSystem.list(bufferPath));
  const files = entries.filter(({ kind }) => kind === 'file').map(({ name }) => name);
  return files
    .sort()
    .map((name) => `${name} ${Buffer.from(rig.bytes(name)).toString('base64')}`)
    .join('\n');
}

describe('a look into a buffer that is open', () => {
  it('sees cursors, backlog, ages and files, and changes nothing', async () => {
    const rig = new BufferRig();
    const buffer = await rig.open({ cursors: ['fast', 'slow'] });
    await rig.append(buffer, 'a', 'b');
    const firstMs = rig.world.wallMs;
    await rig.world.advance(60_000);
    await rig.append(buffer, 'c');
    (await rig.read(buffer.cursor('fast'), { maxRecords: 2 })).ack();
    await rig.world.advance(1_000);
    const before = await bytesOf(rig);
    const seen = await inspect(rig);
    const whole = { ledger: 'whole', clean: false, epoch: 1, damage: [] };
    expect(seen).toMatchObject({ directory: bufferPath, nextId: 4, ...whole });
    expect(seen.uuid).toBe(buffer.stats().uuid);
    expect(seen.usedBytes).toBe(buffer.stats().disk.usedBytes);
    expect(seen.holder?.pid).toBe(process.pid);
    expect(seen.segments).toMatchObject([{ number: 1, state: 'known', firstId: 1, epoch: 1 }]);
    const [fast, slow] = seen.cursors;
    expect(slow).toMatchObject({ name: 'slow', nextId: 1, backlog: { events: 3, bytes: 3 } });
    expect(Math.abs((slow?.oldestMs ?? 0) - firstMs)).toBeLessThan(1_000);
    expect(fast).toMatchObject({ name: 'fast', nextId: 3, backlog: { events: 1, bytes: 1 } });
    expect((fast?.oldestMs ?? 0) - firstMs).toBeGreaterThan(59_000);
    expect(await bytesOf(rig)).toBe(before);
    await rig.close(buffer);
    expect(await inspect(rig)).toMatchObject({ clean: true, epoch: 1, nextId: 4 });
  });

  it('is right at any moment of its life', async () => {
    const rig = new BufferRig({ seed: 7 });
    const buffer = await rig.open();
    const cursor = buffer.cursor('default');
    for (let round = 0; round < 40; round++) {
      const appending = Promise.all([buffer.append(new Uint8Array(20_000)), buffer.append(new Uint8Array(5))]);
      const reading = cursor.read().then((delivery) => delivery?.ack());
      const [seen, verified] = [inspect(rig), verify(rig)];
      const { cursors, nextId, damage } = await seen;
      expect(damage).toEqual([]);
      expect(nextId).toBeGreaterThanOrEqual(2 * round + 1);
      expect(nextId).toBeLessThanOrEqual(2 * round + 3);
      expect(cursors[0]?.nextId).toBeLessThanOrEqual(cursor.nextId);
      expect(await verified).toMatchObject({ isWhole: true });
      await rig.run(Promise.all([appending, reading]));
    }
    await rig.close(buffer);
  });

  it('tells what is not there', async () => {
    const rig = new BufferRig();
    await expect(inspect(rig)).rejects.toMatchObject({ code: 'SPILLWAY_STORAGE_MISSING' });
    await rig.run(rig.process.fileSystem.makeDirectory('/data')).catch(() => undefined);
    await rig.run(rig.process.fileSystem.makeDirectory(bufferPath));
    expect(await inspect(rig)).toMatchObject({ ledger: 'new', segments: [], cursors: [], nextId: 1 });
    expect(await verify(rig)).toMatchObject({ isWhole: true, frames: 0 });
  });
});

describe('verification', () => {
  async function closedBuffer(): Promise<BufferRig> {
    const rig = new BufferRig();
    const buffer = await rig.open();
    for (let index = 0; index < 8; index++) await rig.appendFrames(buffer, `${index} ${large}`);
    await rig.close(buffer);
    return rig;
  }

  it.each([false, true])('counts everything that is there (portable: %s)', async (isPortable) => {
    const rig = await closedBuffer();
    const before = await bytesOf(rig);
    const verified = await verify(rig, isPortable);
    expect(verified).toMatchObject({ isWhole: true, frames: 8, records: 8, events: 8, damage: [], missing: [] });
    expect(verified.segments.length).toBeGreaterThan(2);
    expect(await bytesOf(rig)).toBe(before);
  });

  it('finds a flipped bit, and which ids are lost with it', async () => {
    const rig = await closedBuffer();
    const name = '0000000000000001.seg';
    const bytes = rig.bytes(name).slice();
    bytes[4096 + 500] = 1 ^ (bytes[4096 + 500] ?? 0);
    rig.plant(name, bytes);
    const verified = await verify(rig);
    expect(verified).toMatchObject({ isWhole: false, frames: 7 });
    expect(verified.damage).toMatchObject([{ code: 'SPILLWAY_DAMAGE_FRAME', offset: 4096 }]);
  });

  it('finds ids that are missing in the middle', async () => {
    const rig = await closedBuffer();
    const name = '0000000000000002.seg';
    const bytes = rig.bytes(name).slice();
    bytes[4096 + 500] = 1 ^ (bytes[4096 + 500] ?? 0);
    rig.plant(name, bytes);
    const { missing, damage } = await verify(rig);
    expect(damage.length).toBe(1);
    expect(missing.length).toBe(1);
    expect((missing[0]?.to ?? 0) - (missing[0]?.from ?? 0)).toBe(1);
  });

  it('finds half a header and half a ledger, and takes a torn tail of the last segment for what it is', async () => {
    const rig = await closedBuffer();
    const header = rig.bytes('0000000000000001.seg').slice();
    header[10] = 255;
    rig.plant('0000000000000001.seg', header);
    const ledger = rig.bytes('ledger').slice();
    ledger[100] = 255;
    rig.plant('ledger', ledger);
    const verified = await verify(rig);
    expect(verified.damage.map(({ code }) => code).sort()).toEqual([
      'SPILLWAY_DAMAGE_HEADER',
      'SPILLWAY_DAMAGE_LEDGER',
    ]);
    const torn = await closedBuffer();
    const { segments } = await inspect(torn);
    const last = segments.at(-1)?.path.split('/').at(-1) ?? '';
    torn.plant(last, new Uint8Array([...torn.bytes(last), 1, 2, 3, 4, 5, 6, 7, 8]));
    expect(await verify(torn)).toMatchObject({ isWhole: true, tornBytes: 8, damage: [] });
  });
});
