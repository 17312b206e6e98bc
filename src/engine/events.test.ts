import { expect, test, vi } from 'vitest';
import { EventHub } from './events.ts';

const position = { segment: 1, offset: 4096, nextId: 2, payloadBytes: 3 };

test('a listener gets every such event, and no other, until it is taken off', () => {
  const hub = new EventHub();
  const seen: unknown[] = [];
  const off = hub.on('durable', (value) => seen.push(value));
  hub.emit('durable', position);
  hub.emit('closed', { clean: true });
  off();
  off();
  hub.emit('durable', position);
  expect(seen).toEqual([position]);
});

test('listeners are called in the order in which they came', () => {
  const hub = new EventHub();
  const order: string[] = [];
  hub.on('full', () => order.push('first'));
  hub.on('full', () => order.push('second'));
  hub.emit('full', { usedBytes: 1 });
  expect(order).toEqual(['first', 'second']);
});

test('a listener that takes itself off, or adds another one, disturbs nobody', () => {
  const hub = new EventHub();
  const order: string[] = [];
  const off = hub.on('full', () => {
    order.push('once');
    off();
    hub.on('full', () => order.push('added'));
  });
  hub.on('full', () => order.push('always'));
  hub.emit('full', { usedBytes: 1 });
  hub.emit('full', { usedBytes: 1 });
  expect(order).toEqual(['once', 'always', 'always', 'added']);
});

test('a listener that throws stops neither the emitter nor the other listeners; its error is not swallowed', () => {
  const uncaught = vi.spyOn(Promise, 'reject').mockReturnValue(Promise.resolve() as Promise<never>);
  const hub = new EventHub();
  const seen: unknown[] = [];
  hub.on('durable', () => {
    throw new Error('a mistake of the listener');
  });
  hub.on('durable', (value) => seen.push(value));
  expect(() => hub.emit('durable', position)).not.toThrow();
  expect(seen).toEqual([position]);
  // A rejection that nobody handles is reported by the process, as the error of any listener of the platform is.
  expect(uncaught.mock.calls).toEqual([[new Error('a mistake of the listener')]]);
});

test('listened says whether a value is worth making', () => {
  const hub = new EventHub();
  expect(hub.listened('lost')).toBe(false);
  const off = hub.on('lost', () => undefined);
  expect(hub.listened('lost')).toBe(true);
  expect(hub.listened('damage')).toBe(false);
  off();
  expect(hub.listened('lost')).toBe(false);
});
