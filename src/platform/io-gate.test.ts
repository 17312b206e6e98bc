import { describe, expect, test } from 'vitest';
import { InvariantViolation } from '../base/assert.ts';
import { IoGate, placesFor } from './io-gate.ts';

describe('a gate', () => {
  test('lets through as many as it has places, and the others in their order', () => {
    const gate = new IoGate(2);
    const started: number[] = [];
    for (let index = 0; index < 6; index++) gate.enter(() => started.push(index));
    expect(started).toEqual([0, 1]);
    gate.leave();
    expect(started).toEqual([0, 1, 2]);
    for (let index = 6; index < 8; index++) gate.enter(() => started.push(index));
    for (let left = 0; left < 7; left++) gate.leave();
    expect(started).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(() => gate.leave()).toThrow(InvariantViolation);
    gate.enter(() => started.push(8));
    gate.enter(() => started.push(9));
    gate.enter(() => started.push(10));
    expect(started.slice(8)).toEqual([8, 9]);
  });

  test('keeps the order over thousands that wait', () => {
    const gate = new IoGate(1);
    const started: number[] = [];
    let next = 0;
    for (; next < 1000; next++) {
      const index = next;
      gate.enter(() => started.push(index));
    }
    for (let turn = 0; turn < 3000; turn++) {
      if (turn % 3 === 0 && next < 1500) {
        const index = next++;
        gate.enter(() => started.push(index));
      }
      if (started.length < next) gate.leave();
    }
    expect(started).toEqual(Array.from({ length: next }, (_, index) => index));
  });
});

test('two threads of the pool stay free, and one call is always possible', () => {
  expect(placesFor(undefined)).toBe(2);
  expect(placesFor('')).toBe(2);
  expect(placesFor('many')).toBe(2);
  expect(placesFor('0')).toBe(2);
  expect(placesFor('1')).toBe(1);
  expect(placesFor('3')).toBe(1);
  expect(placesFor('16')).toBe(14);
});
