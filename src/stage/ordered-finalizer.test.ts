// The ordered finalizer in RxJS programs: by itself, and in front of a buffer, where a source keeps its own position.

import { from, lastValueFrom, mergeMap } from 'rxjs';
import { expect, it } from 'vitest';
import { BufferRig, bytesOf } from '../../test/buffer-rig.ts';
import { type Batch, OrderedFinalizer, throughBuffer } from './index.ts';

it('reports progress in order when work ends in any order, without a buffer', async () => {
  const rig = new BufferRig();
  const random = rig.world.random.fork('work');
  const positions: number[] = [];
  const finalizer = new OrderedFinalizer({ released: ({ from: begin, to }) => positions.push(begin, to) });
  const ended: number[] = [];
  const work = from(Array.from({ length: 200 }, (_, index) => index)).pipe(
    mergeMap(async (index) => {
      const ticket = finalizer.add(1, 0);
      await new Promise<void>((resolve) => void rig.process.clock.setTimer(random.between(1, 100), resolve));
      ended.push(index);
      finalizer.settle(ticket, 'acknowledged');
      finalizer.release();
      expect(finalizer.position).toBe(firstMissing(ended));
    }, 8),
  );
  await rig.run(lastValueFrom(work));
  expect(ended).not.toEqual(ended.toSorted((one, other) => one - other));
  expect(positions).toEqual(positions.toSorted((one, other) => one - other));
  expect(positions.at(-1)).toBe(200);
});

it('tells a source in front of a buffer how far it may forget, when several intakes answer in any order', async () => {
  const rig = new BufferRig();
  const buffer = await rig.open();
  let forgotten = 0;
  const finalizer = new OrderedFinalizer({
    released: ({ to }) => {
      forgotten = to;
    },
  });
  const answered: number[] = [];
  const batch = (line: number): Batch => {
    const ticket = finalizer.add(1, 0);
    return {
      records: [{ payload: bytesOf(`line ${line}`) }],
      accepted: () => {
        answered.push(line);
        finalizer.settle(ticket, 'acknowledged');
        finalizer.release();
      },
    };
  };
  const lines = Array.from({ length: 30 }, (_, line) => batch(line));
  // Three intakes share the lines: the first takes every third of them, and so on; the last one begins late.
  const parts = [0, 1, 2].map((part) => lines.filter((_, line) => line % 3 === part));
  const [first = [], second = [], third = []] = parts;
  for (const input of [first, second]) throughBuffer(buffer, { input }).subscribe();
  await rig.until(() => answered.length === 20);
  expect(forgotten).toBe(2);
  throughBuffer(buffer, { input: third }).subscribe();
  await rig.until(() => answered.length === 30);
  expect(forgotten).toBe(30);
});

function firstMissing(numbers: readonly number[]): number {
  const present = new Set(numbers);
  let missing = 0;
  while (present.has(missing)) missing += 1;
  return missing;
}
