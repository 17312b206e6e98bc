import { describe, expect, it } from 'vitest';
import { bytesOf } from '../../../test/buffer-rig.ts';
import { DeliveryRig, numbers } from '../../../test/delivery-rig.ts';

describe('batches', () => {
  it('joins what is there, in order, and resolves when the buffer is closed', async () => {
    const rig = await DeliveryRig.open();
    await rig.append('logs', 2, 3, 1);
    const driver = rig.driver();
    const running = driver.run();
    await rig.drained();
    expect(rig.sink.calls.map(({ events }) => events)).toEqual([numbers(1, 6)]);
    expect(rig.sink.calls[0]?.batch.records.map(({ id, events }) => [id, events])).toEqual([
      [1, 2],
      [3, 3],
      [6, 1],
    ]);
    await rig.run(rig.buffer.close());
    expect(await rig.run(running)).toBe('closed');
    expect(driver.status()).toMatchObject({ state: 'running', delivered: { events: 6 }, inFlight: 0 });
  });

  it('ends a batch at another signal and at the limits; what is larger goes alone', async () => {
    const rig = await DeliveryRig.open();
    await rig.append('logs', 2, 1);
    await rig.append('traces', 1);
    await rig.append('logs', 4, 9, 1, 1);
    const running = rig.driver({ batch: { maxEvents: 5 } }).run();
    await rig.drained();
    expect(rig.sink.calls.map(({ batch }) => [batch.signal, batch.events])).toEqual([
      ['logs', 3],
      ['traces', 1],
      ['logs', 4],
      ['logs', 9],
      ['logs', 2],
    ]);
    expect(rig.sink.delivered).toEqual(numbers(1, 19));
    await rig.run(rig.buffer.close());
    await rig.run(running);
  });

  it('does not wait for company that cannot come: the next record has another signal, or is one too many', async () => {
    const rig = await DeliveryRig.open();
    await rig.append('logs', 1);
    await rig.append('traces', 1);
    await rig.append('logs', 3, 3);
    const driver = rig.driver({ batch: { timeoutMs: 60_000, maxEvents: 5 } });
    const running = driver.run();
    await rig.advance(10);
    expect(rig.sink.sizes).toEqual([1, 1, 3]);
    await rig.drained();
    expect(rig.sink.sizes).toEqual([1, 1, 3, 3]);
    await rig.run(driver.stop({ afterMs: 0 }));
    await rig.run(running);
  });

  it('waits for company from the first record on, and not for ever', async () => {
    const rig = await DeliveryRig.open();
    const driver = rig.driver({ batch: { timeoutMs: 1_000 } });
    const running = driver.run();
    await rig.append('logs', 1);
    const first = rig.rig.world.timeMs;
    await rig.advance(600);
    await rig.append('logs', 1);
    await rig.drained();
    expect(rig.sink.sizes).toEqual([2]);
    expect((rig.sink.calls[0]?.atMs ?? 0) - first).toBeGreaterThan(990);
    expect((rig.sink.calls[0]?.atMs ?? 0) - first).toBeLessThan(1_010);
    await rig.run(driver.stop({ afterMs: 0 }));
    expect(await rig.run(running)).toBe('stopped');
  });

  it('gives a sink the very bytes of a record that is alone', async () => {
    const rig = await DeliveryRig.open();
    await rig.append('metrics', 2);
    const driver = rig.driver();
    const running = driver.run();
    await rig.drained();
    const batch = rig.sink.calls[0]?.batch;
    expect(batch?.merged()).toBe(batch?.records[0]?.bytes);
    expect(`${batch?.records[0]?.origin}-1`).toMatch(/^[0-9a-f-]+\/\d+-1$/);
    await rig.run(driver.stop({ afterMs: 0 }));
    await rig.run(running);
  });

  it('has no more batches at the sink than it takes at once', async () => {
    const rig = await DeliveryRig.open();
    rig.sink.concurrencyMax = 3;
    rig.sink.answer = async () => {
      await rig.after(50);
      return { kind: 'delivered' };
    };
    await rig.append('logs', ...new Array<number>(20).fill(1));
    const driver = rig.driver({ request: { concurrency: 8 }, batch: { maxEvents: 1 } });
    const running = driver.run();
    await rig.drained();
    expect(rig.sink.atOnceMax).toBe(3);
    expect(rig.sink.delivered).toEqual(numbers(1, 20));
    await rig.run(rig.buffer.close());
    await rig.run(running);
  });
});

describe('what a sink cannot be given', () => {
  it('goes to the dead letters, and nothing else waits for it', async () => {
    const rig = await DeliveryRig.open();
    rig.sink.signals = ['logs'];
    await rig.append('logs', 1);
    await rig.append('traces', 2, 1);
    await rig.appendRaw(bytesOf('no request'), { metadata: 1 });
    await rig.appendRaw(bytesOf('nobody'), { metadata: 77 });
    await rig.append('logs', 1);
    const driver = rig.driver();
    const running = driver.run();
    await rig.drained();
    expect(rig.sink.delivered).toEqual([1, 7]);
    expect(rig.letters.letters.map(({ id, events, reason }) => [id, events, reason])).toEqual([
      [2, 2, 'the sink takes no traces'],
      [4, 1, 'the sink takes no traces'],
      [5, 1, expect.stringContaining('should be a request of logs with 1 events')],
      [6, 1, 'its metadata, 77, names no signal'],
    ]);
    expect(rig.letters.letters.at(-1)?.signal).toBeUndefined();
    expect(driver.status()).toMatchObject({ state: 'running', rejectedEvents: 5, delivered: { events: 2 } });
    await rig.run(rig.buffer.close());
    expect(await rig.run(running)).toBe('closed');
  });

  it('is counted by the buffer as rejected', async () => {
    const rig = await DeliveryRig.open();
    await rig.appendRaw(bytesOf('nobody'), { metadata: 0, events: 3 });
    const driver = rig.driver();
    const running = driver.run();
    await rig.drained();
    expect(rig.buffer.stats().cursors[0]?.sinceOpen.rejected.events).toBe(3);
    await rig.run(driver.stop({ afterMs: 0 }));
    await rig.run(running);
  });
});
