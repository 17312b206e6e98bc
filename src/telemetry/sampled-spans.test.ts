import { expect, test } from 'vitest';
import { BufferRig } from '../../test/buffer-rig.ts';
import { SpanKeeper } from '../../test/telemetry-rig.ts';
import { instrument } from './instrument.ts';
import { SampledSpans } from './sampled-spans.ts';

/** What seconds and nanoseconds are in milliseconds. */
function msOf(time: unknown): number {
  const [seconds, nanos] = time as [number, number];
  expect(Number.isInteger(seconds) && Number.isInteger(nanos) && nanos >= 0 && nanos < 1e9).toBe(true);
  return seconds * 1_000 + nanos / 1e6;
}

test.each([
  [1, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]],
  [0.5, [0, 2, 4, 6, 8, 10]],
  [0.1, [0, 10]],
  [0, []],
] as const)('of a share of %d these are made: %j', (ratio, expected) => {
  const keeper = new SpanKeeper();
  const spans = new SampledSpans({ provider: keeper.provider, ratio });
  for (let at = 0; at < 12; at++) spans.begin(String(at), {})?.end({});
  expect(keeper.spans.map(({ name }) => Number(name))).toEqual(expected);
});

test('a span of a call says what became of it, and belongs to nobody', () => {
  const keeper = new SpanKeeper();
  const spans = new SampledSpans({ provider: keeper.provider, ratio: 1 });
  spans.begin('good', { a: 1 })?.end({ b: 2 });
  spans.begin('bad', {})?.end({}, { type: 'blocked', message: 'no token' });
  expect(keeper.spans).toMatchObject([
    { name: 'good', options: { root: true, kind: 2 }, attributes: { a: 1, b: 2 }, status: undefined, isEnded: true },
    { name: 'bad', attributes: { 'error.type': 'blocked' }, status: { code: 2, message: 'no token' }, isEnded: true },
  ]);
});

test('commits of a buffer become spans on request: one in so many, as long as the first record waited', async () => {
  const rig = new BufferRig();
  const buffer = await rig.open();
  const keeper = new SpanKeeper();
  const { clock } = rig.process;
  const options = { clock, name: 'spans', tracerProvider: keeper.provider };
  const forgetNone = instrument(buffer, options);
  await rig.append(buffer, 'unseen');
  expect(keeper.spans).toEqual([]);
  forgetNone();
  const forget = instrument(buffer, { ...options, spanRatio: 0.5 });
  const startMs = rig.world.wallMs;
  await rig.append(buffer, 'one', 'two');
  await rig.append(buffer, 'three');
  await rig.append(buffer, 'four');
  forget();
  await rig.append(buffer, 'five');
  expect(keeper.spans.map(({ name, attributes }) => [name, attributes['spillway.group.records']])).toEqual([
    ['spillway.commit', 2],
    ['spillway.commit', 1],
  ]);
  const [first] = keeper.spans;
  const beganMs = msOf(first?.options.startTime);
  expect(beganMs).toBeGreaterThanOrEqual(startMs - 1);
  expect(msOf(first?.endMs)).toBeGreaterThan(beganMs);
  expect(msOf(first?.endMs)).toBeLessThan(startMs + 1_000);
  expect(first?.events).toEqual(['the write begins']);
});
