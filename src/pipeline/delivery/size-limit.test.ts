import { describe, expect, it } from 'vitest';
import { SizeLimit } from './size-limit.ts';

/** Sends batches as large as the limit allows to a receiver that takes so much; how often it refused one. */
function sendTo(limit: SizeLimit, takesBytes: number, batches: number): number {
  let refusals = 0;
  for (let sent = 0; sent < batches; ) {
    const size = limit.maxBytes;
    if (size > takesBytes) {
      refusals += 1;
      limit.tooLarge(size);
    } else {
      limit.delivered(size);
      sent += 1;
    }
  }
  return refusals;
}

describe('the size limit', () => {
  it('is what the config says until the sink says otherwise', () => {
    const limit = new SizeLimit(1_000);
    limit.delivered(1_000);
    expect([limit.maxBytes, limit.isLearned]).toEqual([1_000, false]);
    limit.tooLarge(800);
    expect([limit.maxBytes, limit.isLearned]).toEqual([400, true]);
  });

  it('comes near what a receiver takes, and asks it rarely for more', () => {
    for (const takesBytes of [1_000, 333_333, 1_048_576, 4_194_304, 9_999_999]) {
      const limit = new SizeLimit(10_000_000);
      sendTo(limit, takesBytes, 300);
      expect(limit.maxBytes).toBeGreaterThan(takesBytes * 0.45);
      expect(sendTo(limit, takesBytes, 10_000)).toBeLessThan(10_000 / 50);
    }
  });

  it('is the configured one again after a receiver was given room', () => {
    const limit = new SizeLimit(10_000_000);
    sendTo(limit, 100_000, 100);
    sendTo(limit, 10_000_000, 10_000);
    expect([limit.maxBytes, limit.isLearned]).toEqual([10_000_000, false]);
  });

  it('does not follow from small batches', () => {
    const limit = new SizeLimit(10_000);
    limit.tooLarge(10_000);
    for (let count = 0; count < 1_000; count++) limit.delivered(100);
    expect(limit.maxBytes).toBe(5_000);
  });

  it('is never below one byte', () => {
    const limit = new SizeLimit(100);
    for (let count = 0; count < 20; count++) limit.tooLarge(1);
    expect(limit.maxBytes).toBe(1);
    sendTo(limit, 100, 5_000);
    expect(limit.maxBytes).toBe(100);
  });
});
