import { describe, expect, it } from 'vitest';
import { BufferRig, MiB } from '../../../test/buffer-rig.ts';
import { InvariantViolation } from '../../base/assert.ts';
import { concatenate } from '../../otlp/concatenate.ts';
import { countEvents } from '../../otlp/count.ts';
import { metadataOfSignal, type TelemetryBatch } from '../../otlp/signal.ts';
import { markersIn, markersOf, sampleRequest } from '../../testing/otlp-samples.ts';
import type { PipelineBuffer } from '../contract/buffer.ts';
import { Intake } from './intake.ts';

function intakeOf(rig: BufferRig, ...buffers: PipelineBuffer[]) {
  const closing = new AbortController();
  const intake = new Intake({ buffers, clock: rig.process.clock, closing: closing.signal });
  return { intake, closing };
}

/** Log records of about so many bytes together. */
function largeBatch(bytes: number, events = 1): TelemetryBatch {
  return sampleRequest('logs', 1, events, 'x'.repeat(bytes / events));
}

async function filled(rig: BufferRig, options: Parameters<BufferRig['open']>[0] = {}): Promise<PipelineBuffer> {
  const buffer = await rig.open(options);
  while (buffer.tryAppend(new Uint8Array(50_000)) === 'accepted') await rig.run(buffer.commit());
  return buffer;
}

describe('an intake', () => {
  it('answers when the record is durable, and marks it with its signal', async () => {
    const rig = new BufferRig();
    const buffer = await rig.open();
    const { intake } = intakeOf(rig, buffer);
    const traces = sampleRequest('traces', 1, 3);
    const answer = intake.emit(traces);
    expect(buffer.stats().frontiers.durable).toBe(1);
    expect(await rig.run(answer)).toEqual({ kind: 'accepted' });
    expect(buffer.stats().frontiers.durable).toBe(4);
    const { records } = await rig.read(buffer.cursor('default'));
    expect(records).toMatchObject([{ id: 1, events: 3, metadata: metadataOfSignal.traces, payload: traces.bytes }]);
    const amount = { events: 3, bytes: traces.bytes.length };
    expect(intake.counts()).toMatchObject({ received: amount, accepted: amount, refused: { events: 0, bytes: 0 } });
  });

  it('gives up waiting for room when the patience ends, and no timer stays', async () => {
    const rig = new BufferRig();
    const { intake } = intakeOf(rig, await filled(rig));
    const answer = intake.emit(largeBatch(50_000), { maxWaitMs: 5_000 });
    expect(await rig.within(4_900, answer)).toBe('pending');
    expect(await rig.within(200, answer)).toBe('resolved');
    expect(await answer).toEqual({ kind: 'full', retryAfterMs: 1_000 });
    expect(intake.counts().refused.events).toBe(1);
  });

  it('waits without end otherwise, until there is room', async () => {
    const rig = new BufferRig();
    const buffer = await filled(rig);
    const { intake } = intakeOf(rig, buffer);
    const answer = intake.emit(largeBatch(50_000));
    expect(await rig.within(3_600_000, answer)).toBe('pending');
    const cursor = buffer.cursor('default');
    for (let read = 0; read < 4; read++) (await rig.run(cursor.read()))?.ack();
    expect(await rig.run(answer)).toEqual({ kind: 'accepted' });
  });

  it('ends every wait when the pipeline closes, or the peer goes away', async () => {
    const rig = new BufferRig();
    const { intake, closing } = intakeOf(rig, await filled(rig));
    const gone = new AbortController();
    const [first, second] = [intake.emit(largeBatch(50_000), { signal: gone.signal }), intake.emit(largeBatch(50_000))];
    gone.abort();
    expect(await rig.run(first)).toMatchObject({ kind: 'unavailable' });
    expect(await rig.within(1_000, second)).toBe('pending');
    closing.abort();
    expect(await rig.run(second)).toMatchObject({ kind: 'unavailable', reason: 'the pipeline is stopping' });
    expect(await rig.run(intake.emit(largeBatch(10)))).toMatchObject({ kind: 'unavailable' });
  });

  it.each([
    ['drop_newest', { kind: 'dropped', reason: 'buffer_full', events: 2 }],
    ['reject', { kind: 'full', retryAfterMs: 1_000 }],
  ] as const)('answers at once with %s', async (whenFull, expected) => {
    const rig = new BufferRig();
    const { intake } = intakeOf(rig, await filled(rig, { whenFull }));
    expect(await rig.run(intake.emit(largeBatch(50_000, 2), { maxWaitMs: 5_000 }))).toEqual(expected);
  });

  it('tells a stalled disk and a failed buffer from a full one', async () => {
    const rig = new BufferRig();
    const buffer = await rig.open({ maxBytes: 4 * MiB });
    const { intake } = intakeOf(rig, buffer);
    const lift = rig.disk.faults.inject({ fault: 'ENOSPC', operation: 'write', path: '.seg' });
    const stalled = intake.emit(largeBatch(1_000), { maxWaitMs: 5_000 });
    expect(await rig.within(6_000, stalled)).toBe('resolved');
    expect(await stalled).toMatchObject({ kind: 'unavailable', reason: 'the buffer is stalled' });
    lift();
    rig.disk.faults.inject({ fault: 'EIO', operation: 'sync', path: '.seg' });
    await rig.world.advance(60_000);
    expect(await rig.run(intake.emit(largeBatch(1_000)))).toMatchObject({ kind: 'unavailable', retryAfterMs: 5_000 });
  });

  it('halves what no record can hold, in order, down to the single event', async () => {
    const rig = new BufferRig();
    const buffer = await rig.open(); // 1 MiB: a record holds at most 116 KiB.
    const { intake } = intakeOf(rig, buffer);
    const batch = largeBatch(400_000, 40);
    expect(await rig.run(intake.emit(batch))).toEqual({ kind: 'accepted' });
    const cursor = buffer.cursor('default');
    const parts: Uint8Array[] = [];
    while (cursor.nextId < 41) {
      const delivery = await rig.read(cursor);
      parts.push(...delivery.records.map(({ payload }) => payload));
      delivery.ack();
    }
    expect(parts.length).toBeGreaterThan(3);
    expect(markersIn(concatenate(parts))).toEqual(markersOf(1, 40));
    expect(countEvents('logs', concatenate(parts))).toBe(40);
    const answer = await rig.run(intake.emit(largeBatch(200_000)));
    expect(answer).toEqual({ kind: 'too_large', limitBytes: buffer.stats().maxRecordBytes });
  });

  it('asks for a batch again, rather than refuse it for its size, while a part of it has found no place', async () => {
    const rig = new BufferRig();
    const full = await filled(rig, { path: '/data/full' });
    const open = await rig.open({ path: '/data/open' });
    const large = largeBatch(200_000); // More than a record of 1 MiB holds.
    const small = sampleRequest('logs', 2, 9, 'x'.repeat(11_000));
    const mixed = { signal: 'logs', events: 10, bytes: concatenate([large.bytes, small.bytes]) } as const;
    const { intake } = intakeOf(rig, open);
    expect(await rig.run(intake.emit(mixed))).toMatchObject({ kind: 'too_large' });
    expect(open.stats().backlog.events).toBe(9);
    for (const buffers of [[full], [open, full], [full, open]]) {
      const answer = intakeOf(rig, ...buffers).intake.emit(mixed, { maxWaitMs: 1_000 });
      expect(await rig.run(answer)).toMatchObject({ kind: 'full' });
    }
  });

  it('tells of a bug of ours, and answers all the same', async () => {
    const rig = new BufferRig();
    const cause = new InvariantViolation('two and two are four');
    const buffer: PipelineBuffer = Object.assign(Object.create(await rig.open()), {
      append: () => Promise.reject(cause),
    });
    const told: unknown[] = [];
    const { signal } = new AbortController();
    const { clock } = rig.process;
    const intake = new Intake({ buffers: [buffer], clock, closing: signal, broken: (each) => told.push(each) });
    expect(await rig.run(intake.emit(largeBatch(10)))).toMatchObject({ kind: 'unavailable' });
    expect(told).toEqual([cause]);
  });

  it('appends to every buffer, and answers with the worst of their answers', async () => {
    const rig = new BufferRig();
    const full = await filled(rig, { path: '/data/full', whenFull: 'drop_newest' });
    const open = await rig.open({ path: '/data/open' });
    const { intake } = intakeOf(rig, full, open);
    const batch = largeBatch(50_000);
    expect(await rig.run(intake.emit(batch))).toMatchObject({ kind: 'dropped', events: 1 });
    expect(open.stats().backlog.events).toBe(1);
    const twice = await filled(rig, { path: '/data/twice', whenFull: 'drop_newest' });
    const both = intakeOf(rig, full, twice).intake;
    expect(await rig.run(both.emit(largeBatch(50_000, 3)))).toEqual({
      kind: 'dropped',
      reason: 'buffer_full',
      events: 3,
    });
    const halved = await rig.run(both.emit(largeBatch(400_000, 4)));
    expect(halved).toEqual({ kind: 'dropped', reason: 'buffer_full', events: 4 });
    await rig.close(open as never);
    expect(await rig.run(intake.emit(batch))).toMatchObject({ kind: 'unavailable' });
  });
});
