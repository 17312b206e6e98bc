// The cases for buffers, continued: what happens when there is no room.

import { type BufferCase, idOf, numbersOf, paddedBytes, recordsOf } from './buffer-checks.ts';
import { check, expectSame } from './component-checks.ts';
import { expectEqual } from './file-checks.ts';

const rounds = 1_000;

export const fullCases: readonly BufferCase[] = [
  {
    name: 'block: an append waits for room, and goes on when there is some, in order',
    async look(probe) {
      const { buffer, time } = probe;
      const { stored, waiting } = await probe.fill();
      check(stored > 0, 'nothing was stored');
      const behind = buffer.append(paddedBytes(stored + 1));
      expectEqual(buffer.stats().waitingAppends, 2, 'appends that wait');
      const texts = await probe.drain();
      const [first, second] = [idOf(await time.run(waiting)), idOf(await time.run(behind))];
      check(first < second, 'those who waited were admitted out of order');
      texts.push(...(await probe.drain()));
      expectSame(
        numbersOf(texts),
        Array.from({ length: stored + 2 }, (_, number) => number),
        'records',
      );
    },
  },
  {
    name: 'block: an append that waits is ended by its signal, and stores nothing',
    async look(probe) {
      const { stored, waiting, abort } = await probe.fill();
      const reason = new Error('a reason');
      abort(reason);
      const outcome = await probe.time.run(waiting.catch((cause: unknown) => cause));
      check(outcome === reason, 'it did not reject with the reason of the signal');
      expectEqual(probe.buffer.stats().waitingAppends, 0, 'appends that wait');
      expectEqual((await probe.drain()).length, stored, 'records');
    },
  },
  {
    name: 'block: tryAppend says full, and ready resolves when there is room again',
    async look(probe) {
      const { buffer, time } = probe;
      const { waiting, abort } = await probe.fill();
      waiting.catch(() => undefined);
      abort(new Error('no longer'));
      await time.run(waiting.catch(() => undefined));
      expectEqual(buffer.tryAppend(paddedBytes(0)), 'full', 'answer');
      let isReady = false;
      const ready = buffer.ready().then(() => {
        isReady = true;
      });
      await time.pass(20);
      expectEqual(isReady, false, 'ready without room');
      await probe.drain();
      await time.run(ready);
      expectEqual(buffer.tryAppend(paddedBytes(0)), 'accepted', 'answer');
    },
  },
  {
    name: 'reject: an append is refused at once, stores nothing, and succeeds later',
    options: { whenFull: 'reject' },
    async look(probe) {
      const { buffer, time } = probe;
      const outcome = await appendUntil(probe, (result) => result instanceof Error);
      const { cause, stored } = { cause: outcome.last as { kind?: unknown }, stored: outcome.count };
      expectEqual(cause.kind, 'full', 'kind of the error');
      const numbers = numbersOf(await probe.drain());
      expectSame(
        numbers,
        Array.from({ length: stored }, (_, number) => number),
        'records',
      );
      let retried: unknown = cause;
      for (let tries = 0; tries < 100 && retried instanceof Error; tries++) {
        await time.pass(20); // Room may come a moment after the acknowledgement.
        retried = await time.run(buffer.append(paddedBytes(stored)).catch((error: unknown) => error));
      }
      expectEqual(statusOf(retried), 'stored', 'a try when there is room');
    },
  },
  {
    name: 'drop_newest: what comes is dropped, told and counted, and what was there stays',
    options: { whenFull: 'drop_newest' },
    async look(probe) {
      const { buffer, time } = probe;
      const losses = probe.losses();
      const { count } = await appendUntil(probe, (result) => statusOf(result) === 'dropped');
      const result = await time.run(buffer.append(paddedBytes(0), { events: 5 }));
      check(result.status === 'dropped' && result.reason === 'buffer_full', `answered ${JSON.stringify(result)}`);
      const payloadBytes = paddedBytes(0).length;
      const found = losses.map(({ reason, events, bytes }) => [reason, events, bytes]);
      expectSame(
        found,
        [
          ['dropped_newest', 1, payloadBytes],
          ['dropped_newest', 5, payloadBytes],
        ],
        'losses',
      );
      expectSame(
        numbersOf(await probe.drain()),
        Array.from({ length: count }, (_, number) => number),
        'records',
      );
    },
  },
  {
    name: 'drop_oldest: there is always room, the newest are there, and every event is delivered or counted as lost',
    options: { whenFull: 'drop_oldest' },
    async look(probe, { dropsInTheMiddle }) {
      const { buffer, time } = probe;
      const losses = probe.losses();
      let total = 0;
      for (; total < rounds && losses.length < 3; total++) {
        idOf(await time.run(buffer.append(paddedBytes(total), { events: 2 })));
      }
      check(losses.length >= 3, `${rounds} appends dropped nothing`);
      const delivered = numbersOf(await probe.drain());
      const lost = losses.reduce((sum, { events }) => sum + events, 0);
      expectEqual(delivered.length * 2 + lost, total * 2, 'events delivered and lost');
      const expected = Array.from({ length: delivered.length }, (_, at) => total - delivered.length + at);
      if (dropsInTheMiddle === true) expectSame(delivered.slice(-1), [total - 1], 'the newest record');
      else expectSame(delivered, expected, 'the newest records');
      check(
        delivered.every((number, at) => number > (delivered[at - 1] ?? -1)),
        'records out of order',
      );
      check(
        losses.every(({ reason, cursor }) => reason === 'dropped_oldest' && cursor === 'default'),
        'losses',
      );
    },
  },
  {
    name: 'drop_oldest: what is dropped while somebody holds it may be settled, and nothing comes of it',
    options: { whenFull: 'drop_oldest' },
    async look(probe, { dropsInTheMiddle }) {
      if (dropsInTheMiddle === true) return;
      const { buffer, time } = probe;
      idOf(await time.run(buffer.append(paddedBytes(0))));
      const held = await probe.read();
      const losses = probe.losses();
      for (let number = 1; number < rounds && losses.length === 0; number++) {
        idOf(await time.run(buffer.append(paddedBytes(number))));
      }
      const { nextId } = probe.cursor();
      check(nextId > (recordsOf([held])[0]?.id ?? 0), 'the oldest was not dropped');
      held.retry();
      expectEqual(probe.cursor().nextId, nextId, 'position');
      const [first] = numbersOf(await probe.drain());
      check(first !== 0, 'what was dropped came again');
    },
  },
];

type Probe = Parameters<BufferCase['look']>[0];

/** Appends one after the other until the outcome is as wanted. `count`: how many were stored before. */
async function appendUntil(
  { buffer, time }: Probe,
  isLast: (result: unknown) => boolean,
): Promise<{ readonly count: number; readonly last: unknown }> {
  for (let count = 0; count < rounds; count++) {
    const last = await time.run(buffer.append(paddedBytes(count)).catch((cause: unknown) => cause));
    if (isLast(last)) return { count, last };
    if (last instanceof Error) throw last;
  }
  throw new Error(`${rounds} appends did not fill the buffer`);
}

function statusOf(result: unknown): unknown {
  return typeof result === 'object' && result !== null && 'status' in result ? result.status : undefined;
}
