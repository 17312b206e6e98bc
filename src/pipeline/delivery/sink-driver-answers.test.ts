import { describe, expect, it } from 'vitest';
import { type Answering, DeliveryRig, type DriverOptions, numbers } from '../../../test/delivery-rig.ts';
import { MiB } from '../../base/units.ts';
import { jsonToRequest } from '../../otlp/json.ts';
import type { SinkAnswer } from '../contract/sink.ts';
import type { SinkDriver } from './sink-driver.ts';

const delivered: SinkAnswer = { kind: 'delivered' };

/** A rig with these records of logs, and a driver that has come to the end of them. */
async function driven(
  records: readonly number[],
  answer: Answering,
  options: DriverOptions = {},
): Promise<{ readonly rig: DeliveryRig; readonly driver: SinkDriver }> {
  const rig = await DeliveryRig.open();
  await rig.append('logs', ...records);
  rig.sink.answer = answer;
  const driver = rig.driver(options);
  const running = driver.run();
  await rig.drained();
  await rig.run(rig.buffer.close());
  expect(await rig.run(running)).toBe('closed');
  return { rig, driver };
}

/** The answers in turn, then `delivered`. */
function inTurn(...answers: readonly SinkAnswer[]): Answering {
  const left = [...answers];
  return () => left.shift() ?? delivered;
}

/** Refuses what has any of these events, by what it says. */
function refusing(kind: 'rejected' | 'too_large', ...bad: readonly number[]): Answering {
  return (_batch, { events }) => (events.some((event) => bad.includes(event)) ? { kind, reason: 'bad' } : delivered);
}

function gaps(rig: DeliveryRig): number[] {
  const times = rig.sink.calls.map(({ atMs }) => atMs);
  return times.slice(1).map((time, index) => Math.round(time - (times[index] as number)));
}

describe('retryable', () => {
  const away: SinkAnswer = { kind: 'retryable', reason: 'ECONNREFUSED' };

  it('sends the same batch again, each time later, up to the longest backoff', async () => {
    const { rig, driver } = await driven([1, 2], inTurn(away, away, away, away, away), {
      request: { retryMaxBackoffMs: 500 },
    });
    expect(gaps(rig)).toEqual([100, 200, 400, 500, 500]);
    expect(new Set(rig.sink.calls.map(({ batch }) => batch)).size).toBe(1);
    expect(driver.status()).toMatchObject({ retries: 5, delivered: { events: 3 }, rejectedEvents: 0 });
  });

  it('draws from zero up to the backoff with full jitter', async () => {
    const { rig } = await driven([1], inTurn(away, away, away), { request: { retryJitter: 'full' } });
    for (const [index, gap] of gaps(rig).entries()) expect(gap).toBeLessThanOrEqual(100 * 2 ** index);
    expect(gaps(rig)).not.toEqual([100, 200, 400]);
  });

  it('waits as long as the peer asks, if that is longer, but not for ever', async () => {
    const asked = (afterMs: number): SinkAnswer => ({ ...away, afterMs }) as SinkAnswer;
    const { rig } = await driven([1], inTurn(asked(7_000), asked(1), asked(1e12), asked(Number.NaN)));
    expect(gaps(rig)).toEqual([7_000, 200, 300_000, 800]);
  });

  it('gives a batch up when its tries are used, with the reason, and goes on', async () => {
    const answer: Answering = (_batch, { events }) => (events.includes(1) ? away : delivered);
    const { rig, driver } = await driven([1, 1, 1], answer, { request: { retryAttempts: 2 }, batch: { maxEvents: 2 } });
    expect(rig.sink.sizes).toEqual([2, 2, 2, 1]);
    expect(rig.letters.letters.map(({ id, reason }) => [id, reason])).toEqual([
      [1, 'given up after 2 retries: ECONNREFUSED'],
      [2, 'given up after 2 retries: ECONNREFUSED'],
    ]);
    expect(driver.status()).toMatchObject({ state: 'running', rejectedEvents: 2, delivered: { events: 1 } });
  });

  it('is one trouble while one batch after the other is given up', async () => {
    const { rig, driver } = await driven([1, 1, 1], () => away, {
      request: { retryAttempts: 1 },
      batch: { maxEvents: 1 },
    });
    expect(driver.status()).toMatchObject({ state: 'retrying', reason: 'ECONNREFUSED', rejectedEvents: 3 });
    expect(rig.lines('warn').filter((line) => line.startsWith('the sink did not take'))).toHaveLength(1);
  });

  it('says so once, and once when it is over', async () => {
    const rig = await DeliveryRig.open();
    await rig.append('logs', 1);
    let isAway = true;
    rig.sink.answer = () => (isAway ? away : delivered);
    const driver = rig.driver();
    const running = driver.run();
    await rig.advance(100_000);
    expect(driver.status()).toMatchObject({ state: 'retrying', reason: 'ECONNREFUSED', inFlight: 1 });
    expect(driver.status().sinceMs).toBeLessThan(rig.rig.process.clock.now() - 90_000);
    expect([rig.lines('warn').length, rig.lines('info').length]).toEqual([1, 0]);
    isAway = false;
    await rig.drained();
    expect(driver.status()).toMatchObject({ state: 'running', reason: undefined });
    expect([rig.lines('warn').length, rig.lines('info').length]).toEqual([1, 1]);
    await rig.run(driver.stop({ afterMs: 0 }));
    await rig.run(running);
  });
});

describe('blocked', () => {
  const blocked: SinkAnswer = { kind: 'blocked', reason: '401' };

  it('keeps everything in the buffer, tries at the longest backoff, and heals', async () => {
    const rig = await DeliveryRig.open();
    await rig.append('logs', 1, 1);
    let isBlocked = true;
    rig.sink.answer = () => (isBlocked ? blocked : delivered);
    const driver = rig.driver({ request: { retryAttempts: 1, retryMaxBackoffMs: 10_000 } });
    const running = driver.run();
    await rig.advance(35_000);
    expect(driver.status()).toMatchObject({ state: 'blocked', reason: '401', retries: 3, rejectedEvents: 0 });
    expect([rig.cursor.nextId, rig.sink.healthChecks, rig.lines('error').length]).toEqual([1, 3, 1]);
    expect(gaps(rig)).toEqual([10_000, 10_000, 10_000]);
    isBlocked = false;
    await rig.drained();
    expect(driver.status()).toMatchObject({ state: 'running', delivered: { events: 2 } });
    await rig.run(driver.stop({ afterMs: 0 }));
    await rig.run(running);
  });

  it('is not sent anything while the health check says no', async () => {
    const rig = await DeliveryRig.open();
    await rig.append('logs', 1);
    rig.sink.answer = inTurn(blocked);
    let isHealthy = false;
    rig.sink.health = () => {
      if (rig.sink.healthChecks > 1 && !isHealthy) throw new Error('no route');
      return isHealthy ? { kind: 'healthy' } : { kind: 'blocked', reason: 'still 401' };
    };
    const driver = rig.driver();
    const running = driver.run();
    await rig.advance(45_000);
    expect(driver.status()).toMatchObject({ state: 'blocked', reason: 'still 401' });
    await rig.advance(30_000);
    expect(driver.status()).toMatchObject({ reason: 'the health check failed: no route' });
    expect(rig.sink.calls.length).toBe(1);
    isHealthy = true;
    await rig.drained();
    expect(rig.sink.delivered).toEqual([1]);
    await rig.run(driver.stop({ afterMs: 0 }));
    await rig.run(running);
  });

  it('is away, no longer blocked, once the health check says that waiting helps, and is asked as often', async () => {
    const rig = await DeliveryRig.open();
    await rig.append('logs', 1);
    rig.sink.answer = inTurn({ kind: 'blocked', reason: 'no such host' });
    let isUp = false;
    rig.sink.health = () => (isUp ? { kind: 'healthy' } : { kind: 'retryable', reason: 'it starts' });
    const driver = rig.driver();
    const running = driver.run();
    await rig.advance(31_000);
    expect(driver.status()).toMatchObject({ state: 'retrying', reason: 'it starts' });
    expect([rig.lines('error').length, rig.lines('warn').length]).toEqual([1, 1]);
    isUp = true;
    await rig.advance(5_000);
    expect(driver.status()).toMatchObject({ state: 'running', delivered: { events: 1 } });
    await rig.run(driver.stop({ afterMs: 0 }));
    await rig.run(running);
  });

  it('lets the others go on as soon as one batch gets through', async () => {
    const rig = await DeliveryRig.open();
    await rig.append('logs', 1, 1, 1);
    let isBlocked = true;
    rig.sink.answer = async (_batch, { number }) => {
      if (!isBlocked) return delivered;
      await rig.after(number * 2_000);
      return blocked;
    };
    const running = rig.driver({ request: { concurrency: 3 }, batch: { maxEvents: 1 } }).run();
    await rig.advance(10_000);
    isBlocked = false;
    await rig.drained();
    // The first that was blocked comes again 30 seconds later, and the two behind it with it.
    expect(new Set(rig.sink.calls.slice(3).map(({ atMs }) => Math.round(atMs / 10))).size).toBe(1);
    await rig.run(rig.buffer.close());
    await rig.run(running);
  });

  it('does not let one that stays blocked come again, nor ask, as often as others get through', async () => {
    for (const health of [{ kind: 'healthy' }, { kind: 'retryable', reason: 'it starts' }] as const) {
      const rig = await DeliveryRig.open();
      await rig.append('logs', ...new Array<number>(200).fill(1));
      rig.sink.health = () => health;
      rig.sink.answer = async (_batch, { events }) => {
        await rig.after(10);
        return events[0] === 1 ? blocked : delivered;
      };
      const driver = rig.driver({ request: { concurrency: 2 }, batch: { maxEvents: 1 } });
      const running = driver.run();
      await rig.until(() => rig.sink.delivered.length === 199);
      expect(rig.sink.healthChecks).toBeGreaterThan(1);
      expect(rig.sink.healthChecks).toBeLessThan(10);
      expect(driver.status().retries).toBeLessThan(10);
      await rig.run(driver.stop({ afterMs: 0 }));
      await rig.run(running);
    }
  });

  it('sends everything to the dead letters if that is wanted', async () => {
    const { rig, driver } = await driven([1, 1, 1], inTurn(blocked, blocked), {
      onBlocked: 'dead_letter',
      batch: { maxEvents: 1 },
    });
    expect(rig.letters.letters.map(({ reason }) => reason)).toEqual([
      'the sink was blocked: 401',
      'the sink was blocked: 401',
    ]);
    expect([rig.sink.delivered, rig.lines('error').length]).toEqual([[3], 1]);
    expect(driver.status()).toMatchObject({ state: 'running', rejectedEvents: 2 });
  });
});

describe('rejected and too large', () => {
  it('finds the one bad event in a batch; all others are delivered once, in order', async () => {
    for (const kind of ['rejected', 'too_large'] as const) {
      for (const bad of numbers(1, 12)) {
        const { rig, driver } = await driven([1, 5, 2, 4], refusing(kind, bad));
        expect(rig.sink.delivered).toEqual(numbers(1, 12).filter((event) => event !== bad));
        expect(rig.letters.events).toEqual([bad]);
        expect(rig.letters.letters[0]).toMatchObject({ id: bad, events: 1, signal: 'logs', reason: 'bad' });
        expect(driver.status()).toMatchObject({ rejectedEvents: 1, retries: 0, delivered: { events: 11 } });
      }
    }
  });

  it('gives every part the key of its first event', async () => {
    const { rig } = await driven([6], refusing('rejected', 4));
    for (const { batch, events } of rig.sink.calls) {
      const ids = batch.records.flatMap((record) => numbers(record.id, record.id + record.events - 1));
      expect(ids).toEqual(events);
      expect(new Set(batch.records.map(({ origin }) => origin))).toEqual(new Set([rig.letters.letters[0]?.origin]));
    }
  });

  it('tells the buffer which records were rejected as a whole, and acknowledges those that were in part', async () => {
    const rig = await DeliveryRig.open();
    await rig.append('logs', 2, 2, 2);
    rig.sink.answer = refusing('rejected', 1, 3, 4, 6);
    const running = rig.driver().run();
    await rig.drained();
    const [cursor] = rig.buffer.stats().cursors;
    expect(cursor?.sinceOpen).toMatchObject({ rejected: { events: 2 }, acknowledged: { events: 4 } });
    expect(rig.letters.events).toEqual([1, 3, 4, 6]);
    await rig.run(rig.buffer.close());
    await rig.run(running);
  });

  it('settles a record only when all of its parts are answered', async () => {
    const rig = await DeliveryRig.open();
    await rig.append('logs', 4, 1);
    rig.sink.answer = (_batch, { events }) => {
      if (events.length > 2) return { kind: 'too_large', reason: 'too many' };
      return events[0] === 3 ? new Promise(() => undefined) : delivered;
    };
    const driver = rig.driver();
    driver.run().catch(() => undefined);
    await rig.advance(10);
    expect([rig.sink.delivered, rig.cursor.nextId]).toEqual([[1, 2], 1]);
  });

  it('does not repeat what was delivered while a later part is tried again', async () => {
    const answer: Answering = (_batch, { events, number }) => {
      if (events.length > 2) return { kind: 'too_large', reason: 'too many' };
      return events.includes(3) && number < 6 ? { kind: 'retryable', reason: 'away' } : delivered;
    };
    const { rig, driver } = await driven([8], answer);
    expect(rig.sink.delivered).toEqual(numbers(1, 8));
    expect(driver.status().retries).toBeGreaterThan(0);
  });

  it('learns what a small receiver takes: it is not sent everything twice for ever', async () => {
    const limit = 2_000;
    const answer: Answering = (batch) => (batch.byteLength > limit ? { kind: 'too_large', reason: '413' } : delivered);
    const { rig } = await driven(new Array<number>(600).fill(1), answer, { batch: { maxBytes: 60_000 } });
    expect(rig.sink.delivered).toEqual(numbers(1, 600));
    const refused = rig.sink.calls.filter(({ batch }) => batch.byteLength > limit);
    const taken = rig.sink.calls.length - refused.length;
    expect(refused.length).toBeLessThan(16);
    expect(taken).toBeLessThan(80); // 600 records of some 90 bytes are 27 batches at the least.
  });

  it('does not multiply what the events of a record share: it is given up as a whole then', async () => {
    const rig = await DeliveryRig.open({ buffer: { maxBytes: 64 * MiB } });
    const shared = { attributes: [{ key: 'shared', value: { stringValue: 'x'.repeat(3 * MiB) } }] };
    const scopeLogs = [{ logRecords: numbers(1, 120).map((event) => ({ severityNumber: event % 24 })) }];
    const made = jsonToRequest('logs', JSON.stringify({ resourceLogs: [{ resource: shared, scopeLogs }] }));
    const large = made.ok ? made.bytes : new Uint8Array();
    await rig.appendRaw(large, { metadata: 1, events: 120 });
    rig.sink.answer = () => ({ kind: 'too_large', reason: '413' });
    const driver = rig.driver({ batch: { maxBytes: 20 * MiB } });
    const running = driver.run();
    await rig.drained();
    expect(rig.sink.calls.length).toBe(1);
    expect(rig.letters.letters.map(({ id, events, reason }) => [id, events, reason])).toEqual([[1, 120, '413']]);
    expect(driver.status().rejectedEvents).toBe(120);
    await rig.run(rig.buffer.close());
    await rig.run(running);
  });

  it('counts what a partial success refused, and is done with it', async () => {
    const answer = inTurn({ kind: 'delivered', refused: { events: 2, reason: 'two are too old' } });
    const { rig, driver } = await driven([5], answer);
    expect(rig.sink.calls.length).toBe(1);
    expect(driver.status()).toMatchObject({ refusedEvents: 2, delivered: { events: 3 }, rejectedEvents: 0 });
    expect(rig.log.lines.filter(({ level }) => level === 'warn')).toMatchObject([
      { fields: { events: 2, reason: 'two are too old' } },
    ]);
  });
});

describe('dead letters', () => {
  it('block the sink when they cannot be written; nothing is lost or written twice', async () => {
    const rig = await DeliveryRig.open();
    await rig.append('logs', 1, 1, 1, 1);
    rig.letters.room = 2;
    rig.sink.answer = refusing('rejected', 1, 2, 3);
    const driver = rig.driver();
    const running = driver.run();
    await rig.advance(200_000);
    expect(driver.status()).toMatchObject({ state: 'blocked', reason: 'the dead letters are full', rejectedEvents: 2 });
    expect([rig.letters.events, rig.cursor.nextId]).toEqual([[1, 2], 3]);
    rig.letters.room = 10;
    await rig.drained();
    expect([rig.letters.events, rig.sink.delivered]).toEqual([[1, 2, 3], [4]]);
    expect(driver.status()).toMatchObject({ state: 'running', rejectedEvents: 3 });
    await rig.run(rig.buffer.close());
    await rig.run(running);
  });

  it('go on where they stopped in a batch that is given up as a whole, and then it is over', async () => {
    const rig = await DeliveryRig.open();
    await rig.append('logs', 1, 1, 1, 1, 8);
    rig.letters.room = 1;
    rig.sink.answer = (_batch, { events }) => {
      if (events.length > 8) return { kind: 'too_large', reason: '413' };
      if (events.includes(5)) return new Promise(() => undefined);
      return { kind: 'retryable', reason: 'away' };
    };
    const driver = rig.driver({ request: { retryAttempts: 0 }, batch: { maxEvents: 100 } });
    driver.run().catch(() => undefined);
    await rig.advance(1_000);
    expect(driver.status()).toMatchObject({ state: 'blocked', reason: 'the dead letters are full', rejectedEvents: 1 });
    rig.letters.room = 10;
    await rig.until(() => rig.sink.calls.some(({ events }) => events.includes(5) && events.length <= 8));
    expect(rig.letters.events.slice(0, 4)).toEqual([1, 2, 3, 4]);
    expect(driver.status()).toMatchObject({ state: 'retrying', reason: 'away' });
  });

  it('are counted and said where there is no file', async () => {
    const rig = await DeliveryRig.open();
    await rig.append('logs', ...new Array<number>(50).fill(1));
    rig.sink.answer = () => ({ kind: 'rejected', reason: 'no' });
    const driver = rig.driver({ deadLetters: undefined });
    const running = driver.run();
    await rig.drained();
    await rig.run(rig.buffer.close());
    await rig.run(running);
    expect(driver.status().rejectedEvents).toBe(50);
    const said = rig.log.lines.filter(({ message }) => message === 'events were given up');
    expect(said.length).toBe(2); // The first at once, the others at the end.
    expect(said.reduce((sum, { fields }) => sum + Number(fields['events']), 0)).toBe(50);
  });
});

describe('the rate limit', () => {
  it('lets no more through in any interval, halves and retries included', async () => {
    const answer: Answering = (_batch, { number }) =>
      number % 3 === 0 ? { kind: 'retryable', reason: 'away' } : delivered;
    const { rig } = await driven(new Array<number>(40).fill(1), answer, {
      batch: { maxEvents: 1 },
      request: { concurrency: 4, rateLimit: { requests: 5, intervalMs: 1_000 }, retryInitialBackoffMs: 1 },
    });
    const times = rig.sink.calls.map(({ atMs }) => atMs);
    for (const [index, time] of times.entries()) {
      const later = times[index + 5];
      if (later !== undefined) expect(later - time).toBeGreaterThan(999.9);
    }
    expect(times.length).toBeGreaterThan(50);
    expect(times.at(-1) ?? 0).toBeLessThan((times.length / 5 + 1) * 1_000);
  });
});
