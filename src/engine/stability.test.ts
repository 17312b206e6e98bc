import { expect, test } from 'vitest';
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
