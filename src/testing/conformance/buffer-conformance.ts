// What every buffer does, as cases that any test runner can run:
//
//   for (const { name, run } of bufferCases(makeHarness)) test(name, run)
//
// `make` is called once for each case and gives a place where nothing is yet. What survives a crash is tested where it
// is promised; here a buffer is opened, used, closed, and opened again.

import type { PipelineBuffer } from '../../pipeline/contract/buffer.ts';
import {
  type BufferCase,
  type BufferHarness,
  type BufferOptions,
  BufferProbe,
  expectCode,
  expectTexts,
  idOf,
  recordsOf,
  textsOf,
} from './buffer-checks.ts';
import { fullCases } from './buffer-full-conformance.ts';
import { lifeCases } from './buffer-life-conformance.ts';
import { type ConformanceCase, check, expectSame } from './component-checks.ts';
import { bytesOf, expectEqual, textOf } from './file-checks.ts';

const oldest = 'oldest' as const;
const defaultOptions: BufferOptions = { whenFull: 'block', cursors: [{ name: 'default', from: oldest }] };
const twoCursors = { cursors: ['default', 'second'].map((name) => ({ name, from: oldest })) };

const appending: readonly BufferCase[] = [
  {
    name: 'records come out as they went in, in order, with ids that grow by their events',
    async look(probe) {
      const { buffer, time } = probe;
      const events = [1, 3, 2, 70_000, 1];
      const given: number[] = [];
      for (const [index, count] of events.entries()) {
        const options = { events: count, metadata: index };
        given.push(idOf(await time.run(buffer.append(bytesOf(`record ${index}`), options))));
      }
      const found = recordsOf(await probe.readRecords(events.length));
      expectSame(
        found.map(({ id }) => id),
        given,
        'ids',
      );
      expectSame(
        found.map((record) => record.events),
        events,
        'events',
      );
      expectSame(
        found.map(({ metadata }) => metadata),
        [0, 1, 2, 3, 4],
        'metadata',
      );
      expectSame(
        found.map(({ payload }) => textOf(payload)),
        events.map((_, index) => `record ${index}`),
        'payloads',
      );
      const steps = given.slice(1).map((id, index) => id - (given[index] as number));
      expectSame(steps, events.slice(0, -1), 'steps between ids');
    },
  },
  {
    name: 'appends that run side by side are all stored, each once, in the order of their ids',
    async look(probe) {
      const { buffer, time } = probe;
      const appends = Array.from({ length: 50 }, (_, at) => buffer.append(bytesOf(`${at}`), { events: 1 + (at % 3) }));
      const ids = (await time.run(Promise.all(appends))).map(idOf);
      const found = recordsOf(await probe.readRecords(50));
      expectSame(
        found.map(({ id }) => id),
        [...ids].sort((one, other) => one - other),
        'ids in order',
      );
      for (const { id, payload } of found) expectEqual(ids[Number(textOf(payload))], id, 'the id that was answered');
    },
  },
  {
    name: 'a batch is stored as a whole, and its records follow each other',
    async look(probe) {
      const { buffer, time } = probe;
      const batch = ['a', 'b', 'c'].map((text) => ({ payload: bytesOf(text), events: 2, metadata: 7 }));
      const first = idOf(await time.run(buffer.appendBatch(batch)));
      const [next] = await probe.append('d');
      expectEqual(next, first + 6, 'the id behind the batch');
      const found = recordsOf(await probe.readRecords(4));
      expectSame(
        found.map(({ id, metadata }) => [id - first, metadata]),
        [
          [0, 7],
          [2, 7],
          [4, 7],
          [6, 0],
        ],
        'records',
      );
    },
  },
  {
    name: 'a payload may change once its append has settled',
    async look(probe) {
      const { buffer, time } = probe;
      const given = Buffer.from('as it was');
      await time.run(buffer.append(given));
      given.fill(0);
      expectTexts(await probe.read(), 'as it was');
    },
  },
  {
    name: 'tryAppend accepts what fits, without waiting, and commit keeps the promise for it',
    async look(probe) {
      const { buffer, time } = probe;
      await time.run(buffer.ready());
      for (const text of ['a', 'b', 'c']) expectEqual(buffer.tryAppend(bytesOf(text)), 'accepted', 'answer');
      await time.run(buffer.commit());
      expectSame(
        recordsOf(await probe.readRecords(3)).map(({ payload }) => textOf(payload)),
        ['a', 'b', 'c'],
        'records',
      );
    },
  },
  {
    name: 'what is malformed is refused: events, metadata, payload, an empty batch',
    async look({ buffer, time }) {
      const code = 'SPILLWAY_USAGE_RECORD';
      const wrong = [{ events: 0 }, { events: 1.5 }, { events: 2 ** 24 + 1 }, { metadata: -1 }, { metadata: 2 ** 32 }];
      for (const options of wrong) {
        await expectCode(code, () => buffer.tryAppend(bytesOf('a'), options));
        await expectCode(code, () => time.run(buffer.append(bytesOf('a'), options)));
        await expectCode(code, () => time.run(buffer.appendBatch([{ payload: bytesOf('a'), ...options }])));
      }
      await expectCode(code, () => time.run(buffer.append('text' as never)));
      await expectCode(code, () => time.run(buffer.appendBatch([])));
      expectEqual(buffer.stats().backlog.events, 0, 'events stored');
    },
  },
  {
    name: 'a record that can never fit is too large, at once',
    async look({ buffer, time }) {
      const { maxRecordBytes } = buffer.stats();
      if (maxRecordBytes === undefined) return;
      const payload = new Uint8Array(maxRecordBytes + 1);
      expectEqual(buffer.tryAppend(payload), 'too_large', 'answer');
      await expectCode('SPILLWAY_USAGE_TOO_LARGE', () => time.run(buffer.append(payload)));
      await expectCode('SPILLWAY_USAGE_TOO_LARGE', () => time.run(buffer.appendBatch([{ payload }])));
    },
  },
  {
    name: 'an append whose signal is aborted before it began stores nothing',
    async look({ buffer, time }) {
      const reason = new Error('a reason');
      const call = buffer.append(bytesOf('a'), { signal: AbortSignal.abort(reason) });
      const outcome = await time.run(call.catch((cause: unknown) => cause));
      check(outcome === reason, 'it did not reject with the reason of the signal');
      expectEqual(buffer.stats().backlog.events, 0, 'events stored');
    },
  },
];

const reading: readonly BufferCase[] = [
  {
    name: 'a read waits for records, and reads are answered in the order of the calls',
    async look(probe) {
      const cursor = probe.cursor();
      const reads = [cursor.read({ maxRecords: 1 }), cursor.read({ maxRecords: 1 })];
      await probe.append('a', 'b');
      const deliveries = await probe.time.run(Promise.all(reads));
      expectSame(
        deliveries.map((delivery) => (delivery === undefined ? [] : textsOf(delivery))),
        [['a'], ['b']],
        'reads',
      );
    },
  },
  {
    name: 'a read that is aborted hands nothing out, and nothing is missing afterwards',
    async look(probe) {
      const { time } = probe;
      const cursor = probe.cursor();
      const reason = new Error('a reason');
      const early = await time.run(cursor.read({ signal: AbortSignal.abort(reason) }).catch((cause: unknown) => cause));
      check(early === reason, 'it did not reject with the reason of the signal');
      const stop = new AbortController();
      const waiting = cursor.read({ signal: stop.signal }).catch((cause: unknown) => cause);
      const behind = cursor.read();
      stop.abort(reason);
      check((await time.run(waiting)) === reason, 'it did not reject with the reason of the signal');
      await probe.append('a');
      expectSame((await time.run(behind))?.records.map(({ payload }) => textOf(payload)) ?? [], ['a'], 'the next read');
    },
  },
  {
    name: 'a delivery has at most maxRecords records and maxBytes bytes, and always one',
    async look(probe) {
      await probe.append('1234', '56', '78', '9');
      const cursor = probe.cursor();
      expectTexts(await probe.read(cursor, { maxRecords: 1 }), '1234');
      expectTexts(await probe.read(cursor, { maxBytes: 4 }), '56', '78');
      expectTexts(await probe.read(cursor, { maxBytes: 0 }), '9');
    },
  },
  {
    name: 'cursors do not wait for each other, and none sees what another does to its records',
    options: twoCursors,
    async look(probe) {
      await probe.append('a', 'b');
      const first = await probe.readRecords(2);
      for (const { payload } of recordsOf(first)) payload.fill(0);
      for (const delivery of first) delivery.ack();
      expectEqual(probe.backlogOf(probe.cursor()), 0, 'backlog of the first');
      expectEqual(probe.backlogOf(probe.cursor('second')), 2, 'backlog of the second');
      expectEqual(probe.buffer.stats().backlog.events, 2, 'backlog of the buffer');
      expectSame(await probe.drain(probe.cursor('second')), ['a', 'b'], 'records of the second');
      expectEqual(probe.buffer.stats().backlog.events, 0, 'backlog of the buffer');
    },
  },
  {
    name: 'a cursor that comes later begins at the oldest record there is, or behind all of them',
    async look(probe) {
      const { buffer } = probe;
      await probe.append('a', 'b');
      const late = buffer.cursor('late', { from: 'newest' });
      const early = buffer.cursor('early', { from: 'oldest' });
      await probe.append('c');
      expectSame(await probe.drain(late), ['c'], 'records of the newest');
      expectSame(await probe.drain(early), ['a', 'b', 'c'], 'records of the oldest');
      expectSame(await probe.drain(), ['a', 'b', 'c'], 'records of the required one');
      check(buffer.cursor('late', { from: 'oldest' }) === late, 'a cursor that is there is not made again');
    },
  },
  {
    name: 'a cursor can be removed unless it is required, and holds nothing back then',
    async look(probe) {
      const { buffer, time } = probe;
      const late = buffer.cursor('late');
      await probe.append('a', 'b');
      await probe.drain();
      expectEqual(buffer.stats().backlog.events, 2, 'backlog with the slow cursor');
      await time.run(buffer.removeCursor('late'));
      expectEqual(buffer.stats().backlog.events, 0, 'backlog without it');
      expectEqual(await time.run(late.read()), undefined, 'a read of what was removed');
      await expectCode('SPILLWAY_USAGE_CURSOR', () => time.run(buffer.removeCursor('default')));
      await expectCode('SPILLWAY_USAGE_CURSOR', () => time.run(buffer.removeCursor('nobody')));
      for (const name of ['', 'a b', '../a', 'x'.repeat(65)]) {
        await expectCode('SPILLWAY_USAGE_CURSOR', () => buffer.cursor(name));
      }
    },
  },
];

const settling: readonly BufferCase[] = [
  {
    name: 'a record that is retried comes again before new ones, with its key and its bytes',
    async look(probe) {
      await probe.append('a', 'b');
      const cursor = probe.cursor();
      const first = await probe.read(cursor, { maxRecords: 1 });
      first.retry();
      const again = await probe.read(cursor);
      expectEqual(again.records[0]?.key, first.records[0]?.key, 'key');
      expectEqual(again.records[0]?.id, first.records[0]?.id, 'id');
      expectEqual(textsOf(again)[0], 'a', 'record');
      again.ack();
      expectSame(await probe.drain(cursor), again.records.length === 1 ? ['b'] : [], 'the rest');
    },
  },
  {
    name: 'a record that is retried later holds up no other one until then',
    async look(probe) {
      await probe.append('a', 'b');
      const cursor = probe.cursor();
      (await probe.read(cursor, { maxRecords: 1 })).retry(50);
      const second = await probe.read(cursor, { maxRecords: 1 });
      expectTexts(second, 'b');
      second.ack();
      expectEqual(probe.backlogOf(cursor), 2, 'backlog while the first is open');
      const again = await probe.read(cursor);
      expectTexts(again, 'a');
      again.ack();
      expectEqual(probe.backlogOf(cursor), 0, 'backlog');
    },
  },
  {
    name: 'records are settled one by one, in any order, and the position follows the order of the log',
    async look(probe) {
      const [a = 0] = await probe.append('a', 'b', 'c', 'd');
      const cursor = probe.cursor();
      const one = await probe.read(cursor, { maxRecords: 3 });
      const [, b, c] = one.records;
      check(b !== undefined && c !== undefined, 'three records were there, and fewer came');
      const other = await probe.read(cursor);
      other.ack();
      expectEqual(cursor.nextId, a, 'position with three open');
      one.settle([undefined, { reject: 'a reason' }, { retry: 0 }]);
      expectEqual(one.unsettled, 1, 'unsettled records of the delivery');
      one.ack();
      expectEqual(cursor.nextId, a + 2, 'position with the third open');
      const again = await probe.read(cursor);
      expectTexts(again, 'c');
      again.ack();
      expectEqual(cursor.nextId, a + 4, 'position with none open');
    },
  },
  {
    name: 'what is settled cannot be settled again, and nonsense settles nothing',
    async look(probe) {
      await probe.append('a', 'b');
      const code = 'SPILLWAY_USAGE_SETTLED';
      const deliveries = await probe.readRecords(2);
      const delivery = deliveries[0] as (typeof deliveries)[number];
      const before = probe.cursor().nextId;
      await expectCode(code, () => delivery.settle([]));
      await expectCode(code, () => delivery.settle(delivery.records.map(() => 'yes' as never)));
      expectEqual(probe.cursor().nextId, before, 'position');
      for (const each of deliveries) each.ack();
      for (const again of [() => delivery.ack(), () => delivery.retry(), () => delivery.reject('no')]) {
        await expectCode(code, again);
      }
    },
  },
  {
    name: 'rejected records are given up for this cursor, and somebody is told',
    async look(probe) {
      const told: unknown[] = [];
      probe.buffer.events.on('rejected', ({ cursor, records, reason }) => told.push([cursor, records, reason]));
      await probe.append('a');
      (await probe.read()).reject('a reason');
      expectSame(told, [['default', 1, 'a reason']], 'what was told');
      expectEqual(probe.buffer.stats().backlog.events, 0, 'backlog');
    },
  },
  {
    name: 'numbers add up: backlogs by events and bytes, use within the limit, the identity in the keys',
    options: twoCursors,
    async look(probe) {
      const { buffer, time } = probe;
      for (const [text, events] of [
        ['four', 4],
        ['three', 3],
      ] as const) {
        await time.run(buffer.append(bytesOf(text), { events }));
      }
      const before = buffer.stats();
      expectEqual(before.state, 'open', 'state');
      expectSame([before.backlog.events, before.backlog.bytes], [7, 9], 'backlog');
      check(before.disk.usedBytes >= 9 && before.disk.usedBytes <= before.disk.maxBytes, 'used bytes within the limit');
      const delivery = await probe.read(probe.cursor(), { maxRecords: 1 });
      check(delivery.records[0]?.key.startsWith(`${before.uuid}/`) === true, 'the key names another buffer');
      delivery.ack();
      const { cursors, waitingAppends } = buffer.stats();
      const found = cursors.map(({ name, backlog }) => [name, backlog.events, backlog.bytes]).sort();
      expectSame(
        found,
        [
          ['default', 3, 5],
          ['second', 7, 9],
        ],
        'backlogs of the cursors',
      );
      expectEqual(waitingAppends, 0, 'appends that wait');
    },
  },
];

/** The cases for one buffer. */
export function bufferCases(make: () => BufferHarness | Promise<BufferHarness>): readonly ConformanceCase[] {
  return [...appending, ...reading, ...settling, ...fullCases, ...lifeCases].map(({ name, options, look }) => ({
    name,
    async run() {
      const harness = await make();
      try {
        const buffer: PipelineBuffer = await harness.open({ ...defaultOptions, ...options });
        await look(new BufferProbe(buffer, harness.time), harness);
        await harness.time.run(buffer.close());
      } finally {
        await harness.close();
      }
    },
  }));
}
