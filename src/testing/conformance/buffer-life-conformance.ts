// The cases for buffers, continued: how a buffer ends, and what the next one finds.

import { type BufferCase, BufferProbe, expectCode, recordsOf, textsOf } from './buffer-checks.ts';
import { check, expectSame } from './component-checks.ts';
import { bytesOf, expectEqual } from './file-checks.ts';

const defaults = { whenFull: 'block', cursors: [{ name: 'default', from: 'oldest' }] } as const;

export const lifeCases: readonly BufferCase[] = [
  {
    name: 'a closed buffer takes nothing, hands out nothing, and may be closed again',
    async look(probe) {
      const { buffer, time } = probe;
      const cursor = probe.cursor();
      await time.run(buffer.close());
      const code = 'SPILLWAY_USAGE_CLOSED';
      await expectCode(code, () => buffer.tryAppend(bytesOf('a')));
      await expectCode(code, () => time.run(buffer.append(bytesOf('a'))));
      await expectCode(code, () => time.run(buffer.appendBatch([{ payload: bytesOf('a') }])));
      await expectCode(code, () => time.run(buffer.ready()));
      await expectCode(code, () => time.run(buffer.commit()));
      await expectCode(code, () => buffer.cursor('late'));
      await expectCode(code, () => time.run(buffer.removeCursor('default')));
      expectEqual(await time.run(cursor.read()), undefined, 'a read');
      expectEqual(buffer.stats().state, 'closed', 'state');
    },
  },
  {
    name: 'close ends those who wait: reads with nothing, appends with an error',
    async look(probe) {
      const { buffer, time } = probe;
      const { waiting } = await probe.fill();
      const ready = buffer.ready();
      const refused = Promise.all([
        expectCode('SPILLWAY_USAGE_CLOSED', () => waiting),
        expectCode('SPILLWAY_USAGE_CLOSED', () => ready),
      ]);
      await time.run(buffer.close());
      await time.run(refused);
    },
  },
  {
    name: 'close answers a read that waits with nothing',
    async look({ buffer, time }) {
      const waiting = buffer.cursor('default').read();
      const behind = buffer.cursor('default').read();
      await time.run(buffer.close());
      expectEqual(await time.run(waiting), undefined, 'a read that waits');
      expectEqual(await time.run(behind), undefined, 'a read behind it');
    },
  },
  {
    name: 'close waits for deliveries that are open, and what is settled meanwhile counts',
    async look(probe) {
      const { buffer, time } = probe;
      await probe.append('a', 'b');
      const deliveries = await probe.readRecords(2);
      let isClosed = false;
      const closing = buffer.close().then(() => {
        isClosed = true;
      });
      await time.pass(5);
      expectEqual(isClosed, false, 'closed with a delivery open');
      for (const delivery of deliveries) delivery.ack();
      await time.run(closing);
      expectEqual(buffer.stats().backlog.events, 0, 'backlog');
    },
  },
  {
    name: 'close does not wait for ever, and what is settled afterwards does nothing',
    async look(probe) {
      const { buffer, time } = probe;
      await probe.append('a', 'b', 'c');
      const [delivery] = await probe.readRecords(1);
      await time.run(buffer.close());
      delivery?.settle(delivery.records.map((_, at) => (at === 0 ? 'ack' : { retry: 0 })));
      check(
        buffer.stats().cursors.every(({ backlog }) => backlog.events === 3),
        'what was settled late counts',
      );
    },
  },
  {
    name: 'close with drain goes on delivering until everything is settled',
    async look(probe) {
      const { buffer, time } = probe;
      await probe.append('a', 'b', 'c');
      const cursor = probe.cursor();
      const first = await probe.read(cursor, { maxRecords: 1 });
      const closing = buffer.close({ drain: true });
      await expectCode('SPILLWAY_USAGE_CLOSED', () => time.run(buffer.append(bytesOf('late'))));
      first.retry();
      const texts: string[] = [];
      while (texts.length < 3) {
        const delivery = await probe.read(cursor);
        texts.push(...textsOf(delivery));
        delivery.ack();
      }
      expectSame(texts, ['a', 'b', 'c'], 'records');
      await time.run(closing);
      expectEqual(buffer.stats().backlog.events, 0, 'backlog');
    },
  },
  {
    name: 'a second close ends a drain that nobody helps along',
    async look(probe) {
      const { buffer, time } = probe;
      await probe.append('a');
      const draining = buffer.close({ drain: true });
      await time.pass(5);
      expectEqual(buffer.stats().state, 'closing', 'state');
      await time.run(buffer.close());
      await time.run(draining);
    },
  },
  {
    name: 'what the next one finds',
    async look(probe, { keeps, open, time }) {
      await probe.append('a', 'b', 'c');
      const [first] = await probe.readRecords(3);
      const keys = recordsOf(first === undefined ? [] : [first]).map(({ key }) => key);
      first?.settle(first.records.map((_, at) => (at === 0 ? 'ack' : { retry: 0 })));
      await time.run(probe.buffer.close());
      const next = new BufferProbe(await open(defaults), time);
      const { uuid, backlog } = next.buffer.stats();
      check(keeps === 'everything' || uuid !== probe.buffer.stats().uuid, 'a buffer that forgets has its old identity');
      if (keeps === 'nothing') expectEqual(backlog.events, 0, 'events found');
      if (keeps === 'everything') {
        const found = recordsOf(await next.readRecords(2));
        expectSame(
          found.map(({ key }) => key),
          keys.slice(1),
          'keys of what was not acknowledged',
        );
      }
      await time.run(next.buffer.close());
    },
  },
];
