import { expect, test } from 'vitest';
import { BufferRig, MiB } from '../../test/buffer-rig.ts';

const large = 'x'.repeat(100_000);

test('nothing that waits has no age', async () => {
  const rig = new BufferRig();
  const buffer = await rig.open();
  expect(await rig.run(buffer.oldestMs('default'))).toBeUndefined();
  await rig.append(buffer, 'one');
  await rig.readTo(buffer.cursor('default'), buffer.stats().frontiers.durable);
  expect(await rig.run(buffer.oldestMs('default'))).toBeUndefined();
  expect(await rig.run(buffer.oldestMs('stranger'))).toBeUndefined();
});

test('a record that is not written yet has the age of its frame', async () => {
  const rig = new BufferRig();
  const buffer = await rig.open({ durability: 'memory', lingerMs: 60_000 });
  await rig.append(buffer, 'one');
  const firstMs = rig.world.wallMs;
  await rig.world.advance(5_000);
  expect(buffer.stats().frontiers.written).toBe(1);
  const oldestMs = await rig.run(buffer.oldestMs('default'));
  expect(Math.abs((oldestMs ?? 0) - firstMs)).toBeLessThan(50);
});

test('follows each cursor, in memory and in files, and stays right after a reopen and a crash', async () => {
  const rig = new BufferRig();
  const options = { maxBytes: 16 * MiB, segmentBytes: MiB, cursors: ['fast', 'slow'] };
  let buffer = await rig.open(options);
  const appendedMs: number[] = [];
  // Far more than the slots hold: what came first is in files only.
  for (let at = 0; at < 80; at++) {
    appendedMs.push(rig.world.wallMs);
    await rig.append(buffer, large);
    await rig.world.advance(1_000);
  }
  const ageAt = async (name: string): Promise<number> => (await rig.run(buffer.oldestMs(name))) ?? Number.NaN;
  const expectAges = async (fast: number, slow: number): Promise<void> => {
    expect(Math.abs((await ageAt('fast')) - (appendedMs[fast] as number))).toBeLessThan(50);
    expect(Math.abs((await ageAt('slow')) - (appendedMs[slow] as number))).toBeLessThan(50);
  };
  await expectAges(0, 0);
  await rig.readTo(buffer.cursor('fast'), 60);
  await rig.readTo(buffer.cursor('slow'), 12);
  const at = { fast: buffer.cursor('fast').nextId - 1, slow: buffer.cursor('slow').nextId - 1 };
  await expectAges(at.fast, at.slow);
  await rig.close(buffer);
  expect(await rig.run(buffer.oldestMs('slow'))).toBeUndefined();
  buffer = await rig.open(options);
  await expectAges(at.fast, at.slow);
  rig.crash();
  buffer = await rig.open(options);
  await expectAges(at.fast, at.slow);
});

test('has no answer while the disk has none, and harms nothing', async () => {
  const rig = new BufferRig();
  let buffer = await rig.open();
  await rig.append(buffer, 'one');
  await rig.close(buffer);
  buffer = await rig.open();
  rig.disk.faults.inject({ fault: 'EIO', operation: 'open', path: '.seg', times: 1 });
  expect(await rig.run(buffer.oldestMs('default'))).toBeUndefined();
  expect(await rig.run(buffer.oldestMs('default'))).toBeGreaterThan(0);
});
