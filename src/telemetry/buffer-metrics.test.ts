import { expect, test } from 'vitest';
import { BufferRig, bufferPath, MiB } from '../../test/buffer-rig.ts';
import { collected, type Point, Points, strayAttributes } from '../../test/telemetry-rig.ts';
import type { DiskBuffer } from '../engine/disk-buffer.ts';
import type { DiskBufferOptions } from '../engine/limits.ts';
import { BufferMetrics } from './buffer-metrics.ts';
import { metricTable } from './metric-table.ts';

class MetricsRig extends BufferRig {
  readonly recorded: Point[] = [];

  async measure(options: Partial<DiskBufferOptions> = {}): Promise<{ buffer: DiskBuffer; metrics: BufferMetrics }> {
    const buffer = await this.open(options);
    const { clock } = this.process;
    const record = (name: string, value: number, attributes: Point['attributes']): void => {
      this.recorded.push({ name, value, attributes });
    };
    return { buffer, metrics: new BufferMetrics({ buffer, name: 'spans', type: 'disk_buffer', clock, record }) };
  }

  collect(metrics: BufferMetrics): Promise<Points> {
    return this.run(collected(metrics));
  }
}

test('says how much came, how much left, and how much is between', async () => {
  const rig = new MetricsRig();
  const { buffer, metrics } = await rig.measure({ cursors: ['fast', 'slow'] });
  await rig.appendFrames(buffer, 'one', 'three', 'four');
  await rig.run(buffer.append(new Uint8Array(10), { events: 7 }));
  (await rig.read(buffer.cursor('fast'))).ack();
  (await rig.read(buffer.cursor('slow'), { maxRecords: 2 })).ack();
  const given = await rig.read(buffer.cursor('slow'), { maxRecords: 1 });
  const points = await rig.collect(metrics);
  const slow = { 'spillway.cursor.name': 'slow' };
  const fast = { 'spillway.cursor.name': 'fast' };
  expect(points.value('spillway.buffer.received.events')).toBe(10);
  expect(points.value('spillway.buffer.received.size')).toBe(22);
  expect(points.value('spillway.buffer.acknowledged.events')).toBe(2);
  expect(points.value('spillway.buffer.acknowledged.size')).toBe(8);
  expect(points.value('spillway.buffer.backlog.events')).toBe(8);
  expect(points.value('spillway.buffer.backlog.size')).toBe(14);
  expect(points.value('spillway.cursor.backlog.events', fast)).toBe(0);
  expect(points.value('spillway.cursor.acknowledged.events', fast)).toBe(10);
  expect(points.value('spillway.cursor.delivered.events', slow)).toBe(3);
  expect(points.value('spillway.cursor.delivered.size', slow)).toBe(12);
  expect(points.value('spillway.cursor.delivered.events', fast)).toBe(10);
  expect(points.value('spillway.cursor.acknowledged.size', slow)).toBe(8);
  expect(points.value('spillway.cursor.in_flight', slow)).toBe(1);
  expect(points.value('spillway.cursor.unsettled.records', slow)).toBe(1);
  expect(points.value('spillway.cursor.unsettled.size', slow)).toBeGreaterThan(0);
  given.retry(0);
  (await rig.read(buffer.cursor('slow'), { maxRecords: 1 })).reject('no');
  const later = await rig.collect(metrics);
  expect(later.value('spillway.cursor.retries', slow)).toBe(1);
  expect(later.value('spillway.cursor.delivered.events', slow)).toBe(3); // For the first time.
  expect(later.value('spillway.cursor.lost.events', { ...slow, 'spillway.loss.reason': 'rejected' })).toBe(1);
  expect(later.value('spillway.buffer.lost.events', { 'spillway.loss.reason': 'rejected' })).toBe(1);
  expect(later.value('spillway.buffer.lost.size', { 'spillway.loss.reason': 'rejected' })).toBe(4);
  expect(strayAttributes(later)).toEqual([]);
});

test('counts from its own beginning, whatever the buffer has lived through', async () => {
  const rig = new MetricsRig();
  const first = await rig.open();
  await rig.append(first, 'one', 'two');
  await rig.readTo(first.cursor('default'), 2);
  await rig.close(first);
  const { buffer, metrics } = await rig.measure();
  await rig.append(buffer, 'three');
  const points = await rig.collect(metrics);
  expect(points.value('spillway.buffer.received.events')).toBe(1);
  expect(points.value('spillway.buffer.acknowledged.events')).toBe(0);
  expect(points.value('spillway.cursor.delivered.events')).toBe(0);
});

test('counts what a full buffer drops, and shows what it takes on disk', async () => {
  const rig = new MetricsRig();
  const { buffer, metrics } = await rig.measure({ whenFull: 'drop_newest' });
  const before = await rig.collect(metrics);
  let dropped = 0;
  for (let at = 0; at < 200; at++) {
    const { status } = await rig.run(buffer.append(new Uint8Array(10_000)));
    if (status === 'dropped') dropped += 1;
  }
  const points = await rig.collect(metrics);
  expect(dropped).toBeGreaterThan(10);
  expect(points.value('spillway.buffer.lost.events', { 'spillway.loss.reason': 'dropped_newest' })).toBe(dropped);
  expect(points.value('spillway.buffer.lost.size', { 'spillway.loss.reason': 'dropped_newest' })).toBe(dropped * 1e4);
  const { disk } = buffer.stats();
  expect(points.value('spillway.buffer.disk.usage')).toBe(disk.usedBytes);
  expect(points.value('spillway.buffer.disk.limit')).toBe(MiB);
  expect(points.value('spillway.buffer.disk.headroom')).toBe(disk.headroomBytes);
  expect(points.value('spillway.buffer.segments')).toBe(disk.segments);
  expect(disk.segments).toBeGreaterThan(3);
  expect(before.value('spillway.buffer.disk.usage')).toBeLessThan(disk.usedBytes);
});

test('knows the age of the oldest record that waits, and asks the disk only when the cursor has moved', async () => {
  const rig = new MetricsRig();
  const { buffer, metrics } = await rig.measure();
  expect((await rig.collect(metrics)).value('spillway.cursor.oldest.age')).toBe(0);
  let asked = 0;
  const { oldestMs } = buffer;
  buffer.oldestMs = (cursor) => {
    asked += 1;
    return oldestMs.call(buffer, cursor);
  };
  await rig.append(buffer, 'one');
  await rig.world.advance(60_000);
  await rig.append(buffer, 'two');
  await rig.world.advance(1_000);
  expect((await rig.collect(metrics)).value('spillway.cursor.oldest.age')).toBeCloseTo(61, 1);
  await rig.world.advance(10_000);
  expect((await rig.collect(metrics)).value('spillway.cursor.oldest.age')).toBeCloseTo(71, 1);
  expect(asked).toBe(1);
  await rig.readTo(buffer.cursor('default'), 2);
  await rig.run(rig.append(buffer, 'three'));
  await rig.world.advance(10_000);
  const age = (await rig.collect(metrics)).value('spillway.cursor.oldest.age') ?? 0;
  expect(age).toBeLessThan(25);
  rig.world.jumpWallClock(-3_600_000);
  expect((await rig.collect(metrics)).value('spillway.cursor.oldest.age')).toBe(0);
});

test('waits a second for a disk that hangs, asks it nothing more, and tells the rest', async () => {
  const rig = new MetricsRig();
  const { buffer, metrics } = await rig.measure();
  await rig.append(buffer, 'one');
  const answer = Promise.withResolvers<number | undefined>();
  let asked = 0;
  buffer.oldestMs = () => {
    asked += 1;
    return answer.promise;
  };
  for (let round = 0; round < 3; round++) {
    const startMs = rig.world.timeMs;
    const points = await rig.collect(metrics);
    expect(rig.world.timeMs - startMs).toBeLessThan(1_001);
    expect(points.value('spillway.cursor.oldest.age')).toBeUndefined();
    expect(points.value('spillway.buffer.backlog.events')).toBe(1);
  }
  expect(asked).toBe(1);
  answer.resolve(rig.world.wallMs - 5_000);
  await rig.world.settle();
  expect((await rig.collect(metrics)).value('spillway.cursor.oldest.age')).toBe(5);
  expect(rig.process.clock.owedCount).toBe(0);
});

test('counts the damage that an open finds, and what a reader meets', async () => {
  const rig = new MetricsRig();
  const first = await rig.open();
  await rig.appendFrames(first, 'one', 'two', 'three');
  await rig.close(first);
  rig.disk.flipBits(`${bufferPath}/ledger`, 100);
  rig.disk.flipBits(`${bufferPath}/${rig.segments()[0]}`, 4_096 + 60);
  const { buffer, metrics } = await rig.measure();
  const found = (await rig.collect(metrics)).value('spillway.buffer.damage') ?? 0;
  expect(found).toBeGreaterThan(0);
  expect(found).toBe(buffer.opening.damage.length);
  await rig.readTo(buffer.cursor('default'), 4);
  const points = await rig.collect(metrics);
  expect(points.value('spillway.buffer.damage')).toBeGreaterThan(found);
  expect(points.value('spillway.buffer.lost.events', { 'spillway.loss.reason': 'damaged' })).toBe(1);
  expect(points.value('spillway.cursor.delivered.events')).toBe(2);
});

test('says when it will be full, and when it will be empty', async () => {
  const rig = new MetricsRig();
  const { buffer, metrics } = await rig.measure({ maxBytes: 16 * MiB, segmentBytes: 128 * 1_024 });
  const toFull = async (): Promise<number | undefined> =>
    (await rig.collect(metrics)).value('spillway.buffer.time_to_full');
  const toEmpty = async (): Promise<number | undefined> =>
    (await rig.collect(metrics)).value('spillway.buffer.time_to_empty');
  expect([await toFull(), await toEmpty()]).toEqual([undefined, 0]);
  // 100 records of 100 bytes a second: on disk they take far more than their payload.
  for (let second = 0; second < 90; second++) {
    for (let at = 0; at < 100; at++) expect(buffer.tryAppend(new Uint8Array(100))).toBe('accepted');
    await rig.run(buffer.commit());
    await rig.world.advance(1_000 - (rig.world.timeMs % 1_000));
    await toFull();
  }
  const guess = (await toFull()) ?? 0;
  expect(await toEmpty()).toBeUndefined();
  let seconds = 0;
  for (; buffer.stats().disk.headroomBytes > 12_000; seconds++) {
    for (let at = 0; at < 100; at++) if (buffer.tryAppend(new Uint8Array(100)) !== 'accepted') break;
    await rig.run(buffer.commit());
  }
  expect(guess).toBeGreaterThan(0.9 * seconds);
  expect(guess).toBeLessThan(1.1 * seconds);
});

test('tells how fast a backlog goes away while it does', async () => {
  const rig = new MetricsRig();
  const { buffer, metrics } = await rig.measure();
  for (let at = 0; at < 1_000; at++) buffer.tryAppend(new Uint8Array(100));
  await rig.run(buffer.commit());
  const cursor = buffer.cursor('default');
  let points = await rig.collect(metrics);
  for (let second = 0; second < 20; second++) {
    (await rig.read(cursor, { maxRecords: 10 })).ack();
    await rig.world.advance(1_000 - (rig.world.timeMs % 1_000));
    points = await rig.collect(metrics);
  }
  expect(points.value('spillway.buffer.time_to_empty')).toBeCloseTo(80, -1);
  expect(points.value('spillway.buffer.time_to_full')).toBeUndefined();
});

test('shows the state it is in, among all there are', async () => {
  const rig = new MetricsRig();
  const { buffer, metrics } = await rig.measure({ lingerMs: 0 });
  const stateOf = (points: Points): string[] =>
    points.all
      .filter(({ name, value }) => name === 'spillway.buffer.state' && value === 1)
      .map(({ attributes }) => attributes['spillway.state'] ?? '');
  expect(stateOf(await rig.collect(metrics))).toEqual(['open']);
  rig.disk.faults.inject({ fault: 'EIO', operation: 'sync' });
  await rig.run(buffer.append(new Uint8Array(1)).catch(() => undefined));
  const points = await rig.collect(metrics);
  expect(stateOf(points)).toEqual(['failed']);
  expect(points.value('spillway.buffer.state', { 'spillway.state': 'open' })).toBe(0);
});

test('records a group once, and nothing any more after its end', async () => {
  const rig = new MetricsRig();
  const { buffer, metrics } = await rig.measure();
  await rig.append(buffer, 'one', 'two', 'three');
  expect(rig.recorded.map(({ name }) => name).sort()).toEqual([
    'spillway.buffer.append.duration',
    'spillway.buffer.commit.duration',
    'spillway.buffer.group.records',
    'spillway.buffer.sync.duration',
  ]);
  expect(new Points(rig.recorded).value('spillway.buffer.group.records')).toBe(3);
  const seconds = new Points(rig.recorded).value('spillway.buffer.append.duration') ?? 0;
  expect(seconds).toBeGreaterThan(0);
  expect(seconds).toBeLessThan(1);
  expect(strayAttributes(new Points(rig.recorded))).toEqual([]);
  metrics.end();
  await rig.append(buffer, 'four');
  expect(rig.recorded).toHaveLength(4);
});

test('reports every metric of a buffer and of a cursor that the table has', async () => {
  const rig = new MetricsRig();
  const { buffer, metrics } = await rig.measure({ maxBytes: 16 * MiB });
  const names = new Set<string>();
  for (let round = 0; round < 20; round++) {
    await rig.append(buffer, 'x'.repeat(50_000));
    await rig.world.advance(1_000);
    for (const name of (await rig.collect(metrics)).names) names.add(name);
  }
  await rig.readTo(buffer.cursor('default'), 21);
  for (const name of (await rig.collect(metrics)).names) names.add(name);
  for (const { name } of rig.recorded) names.add(name);
  const expected = metricTable.map(({ name }) => name).filter((name) => /^spillway\.(?:buffer|cursor)\./.test(name));
  expect([...names].sort()).toEqual(expected.sort());
});
