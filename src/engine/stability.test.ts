import { expect, test } from 'vitest';
import { InvariantViolation } from '../base/assert.ts';
import { Frontier, Stability } from './stability.ts';

test('somebody who waits for what was submitted already is seen, although no submission closes the group', () => {
  const stability = new Stability({ reserved: 1, written: 1, durable: 1 });
  stability.reserve(11);
  stability.submit(11);
  stability.advanceWritten(11);
  expect(stability.durable.firstAwaited).toBeUndefined();
  void stability.durable.reach(11);
  expect(stability.durable.firstAwaited).toBe(11); // Or a commit after the last write would wait for ever.
});

test('a group that was closed comes before those who came later', () => {
  const frontier = new Frontier(1);
  void frontier.reach(5);
  frontier.close(5);
  void frontier.reach(9);
  expect(frontier.firstAwaited).toBe(5);
});

test('L32, L34, S32: a failure rejects everybody above the frontier with the first cause, nobody below', async () => {
  const frontier = new Frontier(1);
  const waiting = [frontier.reach(3), frontier.reach(7)];
  frontier.close(7);
  waiting.push(frontier.reach(9));
  frontier.advance(2);
  const first = new Error('first');
  frontier.fail(first);
  frontier.fail(new Error('second'));
  for (const one of waiting) await expect(one).rejects.toBe(first);
  await expect(frontier.reach(100)).rejects.toBe(first);
  expect(frontier.reach(2)).toBeUndefined();
  expect(frontier.firstAwaited).toBeUndefined();
  expect(frontier.lastAwaited).toBe(0);
});

test('the cause is there before anybody is woken', async () => {
  const frontier = new Frontier(1);
  const cause = new Error('cause');
  const again = frontier.reach(5)?.catch(() => frontier.reach(6));
  frontier.fail(cause);
  await expect(again).rejects.toBe(cause);
});

test('a rejected group that nobody listens to any more is no unhandled rejection', async () => {
  const frontier = new Frontier(1);
  void frontier.reach(5);
  frontier.fail(new Error('nobody listens'));
  // vitest fails the run on an unhandled rejection.
  expect(frontier.value).toBe(1);
});

test('whoever joins one write shares one promise; a closed group takes nobody in', () => {
  const frontier = new Frontier(1);
  const first = frontier.reach(3);
  expect(frontier.reach(5)).toBe(first);
  frontier.close(4);
  expect(frontier.reach(6)).toBe(first); // Its members wait for more than 4: it is still open.
  frontier.close(6);
  expect(frontier.reach(8)).not.toBe(first);
  expect(frontier.reach(6)).toBe(first);
  expect(frontier.lastAwaited).toBe(8);
  frontier.close(8);
  expect(frontier.reach(7)).not.toBe(first);
  expect(frontier.reach(7)).toBe(frontier.reach(8));
});

test('I7.1: a frontier that moves back is a bug', () => {
  const frontier = new Frontier(5);
  frontier.advance(5);
  expect(() => frontier.advance(4)).toThrow(InvariantViolation);
});

test('I7.2: no frontier passes the one before it', () => {
  const start = { reserved: 10, written: 10, durable: 4 };
  const stability = new Stability(start);
  expect(() => stability.submit(11)).toThrow(InvariantViolation);
  expect(() => stability.advanceWritten(11)).toThrow(InvariantViolation);
  expect(() => stability.advanceDurable(11)).toThrow(InvariantViolation);
  expect(() => new Stability({ reserved: 1, written: 2, durable: 1 })).toThrow(InvariantViolation);
  expect(() => new Stability({ reserved: 2, written: 1, durable: 2 })).toThrow(InvariantViolation);
});

test('a change of slot closes the groups: newcomers keep nobody waiting who came before', async () => {
  const stability = new Stability({ reserved: 1, written: 1, durable: 1 });
  stability.reserve(5);
  const early = stability.durable.reach(5);
  stability.closeGroups();
  stability.reserve(9);
  const late = stability.durable.reach(9);
  expect(late).not.toBe(early);
  stability.submit(9);
  stability.advanceWritten(9);
  stability.advanceDurable(5);
  await early;
  expect(stability.durable.lastAwaited).toBe(9);
});
