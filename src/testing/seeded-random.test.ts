import { describe, expect, test } from 'vitest';
import { SeededRandom } from './seeded-random.ts';

describe('seeded randomness', () => {
  test('is the same in every process and on every machine', () => {
    const random = new SeededRandom(42);
    expect([random.uint32(), random.uint32(), random.uint32()]).toMatchInlineSnapshot(`
      [
        2447574668,
        83611676,
        1450851391,
      ]
    `);
    expect([...new SeededRandom('42').bytes(4)]).toEqual([...new SeededRandom(42).bytes(4)]);
  });

  test('differs with the seed and with the label of a fork', () => {
    const starts = [
      new SeededRandom(1),
      new SeededRandom(2),
      new SeededRandom(1).fork('a'),
      new SeededRandom(1).fork('b'),
      new SeededRandom(2).fork('a'),
      new SeededRandom(1).fork('a').fork('b'),
    ].map((random) => random.uint32());
    expect(new Set(starts).size).toBe(starts.length);
  });

  test('a fork does not depend on what was drawn before', () => {
    const drawn = new SeededRandom(1);
    drawn.bytes(100);
    expect(drawn.fork('a').uint32()).toBe(new SeededRandom(1).fork('a').uint32());
  });

  test('integers stay in their range and reach every value', () => {
    const random = new SeededRandom(3);
    const counts = Array.from({ length: 7 }, () => 0);
    for (let draw = 0; draw < 7000; draw++) counts[random.int(7)] = (counts[random.int(7)] ?? 0) + 1;
    for (let draw = 0; draw < 7000; draw++) expect(random.int(7)).toBeLessThan(7);
    const values = new Set(Array.from({ length: 1000 }, () => random.between(-2, 2)));
    expect([...values].sort((a, b) => a - b)).toEqual([-2, -1, 0, 1, 2]);
  });

  test('values of one byte are about equally frequent', () => {
    const counts = Array.from({ length: 256 }, () => 0);
    for (const byte of new SeededRandom(4).bytes(256_000)) counts[byte] = (counts[byte] ?? 0) + 1;
    expect(Math.min(...counts)).toBeGreaterThan(850);
    expect(Math.max(...counts)).toBeLessThan(1150);
  });

  test('integers beyond 32 bits use more than 32 bits', () => {
    const random = new SeededRandom(5);
    const draws = Array.from({ length: 1000 }, () => random.int(2 ** 40));
    expect(draws.every((draw) => draw < 2 ** 40)).toBe(true);
    expect(draws.some((draw) => draw > 2 ** 39)).toBe(true);
    expect(draws.some((draw) => draw % 2 ** 32 > 2 ** 31)).toBe(true);
  });

  test('chance follows its probability', () => {
    const random = new SeededRandom(6);
    const hits = Array.from({ length: 10_000 }, () => random.chance(0.2)).filter(Boolean).length;
    expect(hits).toBeGreaterThan(1800);
    expect(hits).toBeLessThan(2200);
    expect(random.chance(0)).toBe(false);
    expect(random.chance(1)).toBe(true);
  });

  test('shuffle keeps the items and pick takes each of them', () => {
    const random = new SeededRandom(7);
    const items = [1, 2, 3, 4, 5, 6, 7, 8];
    const orders = new Set(Array.from({ length: 50 }, () => random.shuffle([...items]).join()));
    expect(orders.size).toBeGreaterThan(45);
    expect(random.shuffle([...items]).sort()).toEqual(items);
    expect(new Set(Array.from({ length: 200 }, () => random.pick(items))).size).toBe(8);
  });
});
