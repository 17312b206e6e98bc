// The judges of the fault tests can say no: each thing they look for is found in made-up evidence.
import { describe, expect, it } from 'vitest';
import { AgeWatch } from '../integration/sinks/age-watch.ts';
import { growth } from '../integration/sinks/memory-watch.ts';
import { judge, rangesOf } from '../integration/sinks/sink-verdict.ts';
import type { PipelineStatus } from '../src/pipeline/contract/status.ts';

const accepted = [1, 2, 3, 5];
const fine = { missing: [], disorder: [], repeats: 0, invented: [] };

describe('a verdict', () => {
  it.each([
    ['nothing is wrong', [1, 2, 3, 5], {}],
    ['what was sent and not accepted may be there', [1, 2, 3, 4, 5], {}],
    ['one is missing', [1, 2, 5], { missing: [3] }],
    ['all are missing', [], { missing: accepted }],
    ['a repeat is no disorder', [1, 2, 1, 2, 3, 5], { repeats: 2 }],
    ['two changed places', [1, 3, 2, 5], { disorder: [2] }],
    ['a repeat does not hide disorder', [1, 3, 3, 2, 5], { disorder: [2], repeats: 1 }],
    ['one was never sent', [1, 2, 3, 5, 6], { invented: [6] }],
    ['one is no number', [1, Number.NaN, 2, 0, 3, 1.5, 5], { invented: [Number.NaN, 0, 1.5] }],
  ])('%s', (_, found, expected) => {
    expect(judge({ accepted, sent: 5, found })).toEqual({ ...fine, ...expected });
  });
});

it('tells rows of numbers by their ends', () => {
  expect(rangesOf([])).toEqual([]);
  expect(rangesOf([1, 2, 3, 5, 8, 9])).toEqual(['1-3', '5', '8-9']);
});

describe('the age of what a sink has not delivered', () => {
  const statusOf = (accepted: number, backlog: number): PipelineStatus => {
    const [source, cursor] = [{ accepted: { events: accepted } }, { sink: 'out', backlog: { events: backlog } }];
    return { sources: [source], buffers: [{ cursors: [cursor] }] } as unknown as PipelineStatus;
  };
  const agesOf = (...looks: readonly (readonly [accepted: number, backlog: number])[]): readonly number[] => {
    const ages = new AgeWatch();
    for (const [at, [accepted, backlog]] of looks.entries()) ages.look(statusOf(accepted, backlog), at * 100);
    return [ages.ageMs('out', 0), ages.ageMs('out', 0.5), ages.ageMs('out', 0.99)];
  };

  it('is none where everything is delivered', () => expect(agesOf([10, 0], [20, 0], [30, 0])).toEqual([0, 0, 0]));
  it('is nothing within one look', () => expect(agesOf([10, 0], [20, 10], [30, 10])).toEqual([0, 0, 0]));
  it('grows while nothing is', () => expect(agesOf([10, 10], [20, 20], [30, 30])).toEqual([0, 100, 200]));
  it('counts from where the sink is', () => expect(agesOf([10, 10], [20, 20], [30, 15])).toEqual([0, 100, 100]));
});

describe('growth of memory', () => {
  const steady = Array.from({ length: 40 }, () => 100);

  it('is not told from a short life', () => expect(growth([1, 1_000, 1_000_000])).toBe(0));
  it('is none where there is none', () => expect(growth(steady)).toBe(0));
  it('is not what warming up takes', () => expect(growth([...Array.from({ length: 10 }, () => 1), ...steady])).toBe(0));
  it('is not one peak', () => expect(growth(steady.with(38, 900))).toBe(0));
  it('is what is more in the end', () => expect(growth(steady.map((bytes, at) => bytes + at))).toBeCloseTo(20, -1));
  it('may be below zero', () => expect(growth(steady.map((bytes, at) => bytes - at))).toBeLessThan(0));
});
