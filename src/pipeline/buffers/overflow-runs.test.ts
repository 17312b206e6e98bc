import { expect, it } from 'vitest';
import { chainIdOf, OverflowRuns } from './overflow-runs.ts';

it('follow each other, and say where an id lies', () => {
  const runs = new OverflowRuns();
  runs.begin(0, 1, 1);
  runs.begin(1, 77, 501);
  runs.begin(0, 501, 901);
  expect([1, 500, 501, 900, 901, 5_000].map((id) => runs.at(id).stage)).toEqual([0, 0, 1, 1, 0, 0]);
  expect(chainIdOf(runs.at(600), 80)).toBe(504);
  expect(runs.last).toMatchObject({ stage: 0, to: undefined });
});

it('that stayed empty are forgotten', () => {
  const runs = new OverflowRuns();
  runs.begin(0, 1, 1);
  runs.begin(1, 5, 1);
  runs.begin(2, 9, 1);
  expect(runs.all).toEqual([{ stage: 2, stageFrom: 9, from: 1, to: undefined }]);
});

it('are forgotten when everything in them is settled, but for the last', () => {
  const runs = new OverflowRuns();
  runs.begin(0, 1, 1);
  runs.begin(1, 1, 11);
  runs.begin(0, 11, 21);
  runs.forgetBelow(11);
  expect(runs.all.map(({ from }) => from)).toEqual([11, 21]);
  runs.forgetBelow(100);
  expect(runs.all.map(({ from }) => from)).toEqual([21]);
  expect(() => runs.at(20)).toThrow('O1');
});
