// A server that is lost, silent, blocked or out of its mind: every batch gets an answer in time, nothing is left
// behind, and no secret is told.
import type { Sink, SinkAnswer } from 'spillway/plugin';
import { markersOf, SeededRandom, sampleBatch } from 'spillway/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { frameBytes, long, longLong, methodBytes, short, shortString } from '../test/amqp-bytes.ts';
import { deliver, SinkRig } from '../test/sink-rig.ts';

const delivered = { kind: 'delivered' };
let rig: SinkRig;

beforeEach(async () => {
  rig = await SinkRig.start();
});

afterEach(async () => {
  await rig[Symbol.asyncDispose]();
  expect(rig.timers.pending).toBe(0);
});

const isUnderWay = (count: number) => expect.poll(() => rig.server.published.length).toBe(count);

async function deliverInTheEnd(sink: Sink, batch: ReturnType<typeof sampleBatch>): Promise<SinkAnswer[]> {
  const answers: SinkAnswer[] = [];
  while (answers.at(-1)?.kind !== 'delivered') {
    answers.push(await deliver(sink, batch));
    expect(answers.length).toBeLessThan(5);
  }
  return answers;
}

describe('a connection that is lost', () => {
  it.each([
    ['before a message is stored', 'drop'],
    ['between publish and confirmation', 'lose'],
  ] as const)('%s: what was not confirmed comes again, in order', async (_, fault) => {
    for (let at = 1; at <= 3; at += 1) {
      rig.server.published.length = 0;
      rig.server.fault = () => (rig.server.published.length === at ? fault : undefined);
      const sink = rig.sink();
      const answers = await deliverInTheEnd(sink, sampleBatch('logs', at * 10, [3]));
      expect(answers).toEqual([{ kind: 'retryable', reason: expect.stringMatching(/^127\.0\.0\.1:/) }, delivered]);
      const found = rig.markers().filter((marker) => markersOf(at * 10, 3).includes(marker));
      expect([...new Set(found)]).toEqual(markersOf(at * 10, 3));
    }
  });

  it('has nothing sent again that was confirmed before', async () => {
    rig.server.fault = () => (rig.server.published.length === 3 ? { closeConnection: 320, text: 'a test' } : undefined);
    const answers = await deliverInTheEnd(rig.sink(), sampleBatch('logs', 1, [5]));
    expect(answers.map(({ kind }) => kind)).toEqual(['retryable', 'delivered']);
    expect(rig.markers().filter((marker) => markersOf(1, 2).includes(marker))).toEqual(markersOf(1, 2));
    expect(new Set(rig.markers())).toEqual(new Set(markersOf(1, 5)));
  });

  it('while nothing is sent is opened again by the next batch, and by nobody before', async () => {
    const sink = rig.sink();
    await deliver(sink, sampleBatch('logs', 1, [1]));
    rig.server.breakConnections();
    await expect.poll(() => rig.server.openConnections).toBe(0);
    await expect.poll(() => rig.timers.pending).toBe(0);
    expect(rig.server.connections).toBe(1);
    expect(await deliver(sink, sampleBatch('logs', 2, [1]))).toEqual(delivered);
    expect(rig.server.connections).toBe(2);
  });

  it('that cannot be made is an answer with its reason', async () => {
    const options = { connection_string: 'amqp://127.0.0.1:1' };
    const reason = '127.0.0.1:1: nothing listens there (ECONNREFUSED)';
    expect(await deliver(rig.sink({ options }), sampleBatch('logs', 1, [1]))).toEqual({ kind: 'retryable', reason });
  });
});

describe('a server that is silent', () => {
  it.each(['greeting', 'open'] as const)('at the %s is given up in time, with its connection', async (step) => {
    if (step === 'greeting') rig.server.greeting = Buffer.alloc(0);
    else rig.server.answerToOpen = Buffer.alloc(0);
    const answer = await deliver(rig.sink({ options: { connect_timeout_secs: 0.1 } }), sampleBatch('logs', 1, [1]));
    expect(answer).toMatchObject({ kind: 'retryable', reason: expect.stringMatching(/no answer in time/) });
    await expect.poll(() => rig.server.openConnections).toBe(0);
  });

  it('and confirms after the deadline has confirmed: nothing is sent twice', async () => {
    rig.server.fault = () => 'hold';
    const sink = rig.sink({ timeoutMs: 300 });
    const batch = sampleBatch('logs', 1, [3]);
    expect(await deliver(sink, batch)).toMatchObject({ kind: 'retryable', reason: expect.stringMatching(/in time/) });
    rig.server.release();
    expect(await deliver(sink, batch)).toEqual(delivered);
    expect(rig.markers()).toEqual(markersOf(1, 3));
    expect(rig.server.connections).toBe(1);
  });

  it('for two tries is given up, and the batch goes over another connection', async () => {
    rig.server.fault = () => 'hold';
    const sink = rig.sink({ timeoutMs: 200 });
    const batch = sampleBatch('logs', 1, [2]);
    for (let tries = 0; tries < 2; tries += 1) expect(await deliver(sink, batch)).toMatchObject({ kind: 'retryable' });
    rig.server.fault = () => undefined;
    await expect.poll(() => rig.server.openConnections).toBe(0);
    expect(await deliver(sink, batch)).toEqual(delivered);
    expect(rig.markers()).toEqual([...markersOf(1, 2), ...markersOf(1, 2)]);
  });

  it('and is not waited for once the delivery is aborted', async () => {
    rig.server.fault = () => 'hold';
    const stop = new AbortController();
    const sink = rig.sink();
    const answer = deliver(sink, sampleBatch('logs', 1, [2]), stop.signal);
    await isUnderWay(2);
    stop.abort();
    expect(await answer).toMatchObject({ kind: 'retryable', reason: expect.stringMatching(/given up/) });
  });
});

describe('a server that blocks publishers', () => {
  it('is told once, then waited for on the same connection, and nothing is sent twice', async () => {
    const sink = rig.sink({ timeoutMs: 400 });
    await deliver(sink, sampleBatch('logs', 1, [1]));
    rig.server.fault = () => {
      if (rig.server.published.length === 2) rig.server.block('low on memory');
      return 'hold';
    };
    const batch = sampleBatch('logs', 2, [3]);
    const reason = `127.0.0.1:${rig.server.port} blocks publishers: low on memory`;
    const blocked = { kind: 'retryable', reason };
    expect(await deliver(sink, batch)).toEqual(blocked);
    expect(await sink.checkHealth?.({ signal: new AbortController().signal })).toEqual(blocked);
    for (let tries = 0; tries < 3; tries += 1) expect(await deliver(sink, batch)).toEqual(blocked);
    const answer = deliver(sink, batch);
    rig.server.unblock();
    rig.server.release();
    expect(await answer).toEqual(delivered);
    expect(rig.markers()).toEqual(markersOf(1, 4));
    expect(rig.server.connections).toBe(1);
  });

  it('before anything is sent gets nothing until it is over', async () => {
    const sink = rig.sink();
    await deliver(sink, sampleBatch('logs', 1, [1]));
    rig.server.block('low on disk');
    // Whatever comes behind it on the wire has been read, too.
    await deliver(rig.sink(), sampleBatch('logs', 2, [1]));
    const batch = sampleBatch('logs', 3, [2]);
    expect(await deliver(sink, batch)).toMatchObject({
      kind: 'retryable',
      reason: expect.stringMatching(/low on disk/),
    });
    expect(rig.stored()).toHaveLength(2);
    const answer = deliver(sink, batch);
    rig.server.unblock();
    expect(await answer).toEqual(delivered);
    expect(rig.markers()).toEqual(markersOf(1, 4));
  });

  it('and is lost meanwhile is a lost connection', async () => {
    const sink = rig.sink();
    rig.server.fault = () => {
      rig.server.block('low on memory');
      return 'hold';
    };
    const batch = sampleBatch('logs', 1, [1]);
    expect(await deliver(sink, batch)).toMatchObject({ kind: 'retryable' });
    const answer = deliver(sink, batch);
    rig.server.fault = () => undefined;
    rig.server.breakConnections();
    expect(await answer).toMatchObject({ kind: 'retryable' });
    expect(await deliver(sink, batch)).toEqual(delivered);
  });
});

describe('bytes that are no AMQP, or make no sense', () => {
  const start = methodBytes(0, 10, 10, Buffer.from([0, 9, 0, 0, 0, 0, 0, 0, 0, 5]), Buffer.from('PLAIN\0\0\0\0'));

  it.each([
    ['text', Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'), 'blocked', /no AMQP.*amqps:/],
    ['TLS', Buffer.from([21, 3, 1, 0, 2, 2, 70]), 'blocked', /no AMQP.*amqps:/],
    ['no frame behind one', Buffer.concat([start, Buffer.alloc(8, 21)]), 'retryable', /no frame of type 21/],
    ['another version', Buffer.from('AMQP\x01\x01\x00\x0a', 'latin1'), 'blocked', /offers 1-1-0-10/],
    ['a frame of 4 GiB', Buffer.from([1, 0, 0, 255, 255, 255, 255, 0]), 'retryable', /too large/],
    ['a frame without an end', frameBytes(1, 0, short(10)).fill(0, 9), 'retryable', /does not end/],
    ['a field behind the end', methodBytes(0, 10, 10, short(9)), 'retryable', /behind the end/],
    ['a method of another time', methodBytes(0, 10, 30), 'retryable', /10\.10 was expected, 10\.30 came/],
    ['frames that nobody can send', Buffer.concat([start, tuneOf(100)]), 'retryable', /frames of 100 bytes/],
  ] as const)('at the login: %s', async (_, bytes, kind, reason) => {
    rig.server.greeting = bytes;
    const answer = await deliver(rig.sink(), sampleBatch('logs', 1, [1]));
    expect(answer).toEqual({ kind, reason: expect.stringMatching(reason) });
    await expect.poll(() => rig.server.openConnections).toBe(0);
  });

  it.each([
    ['a confirmation of what was never sent', methodBytes(1, 60, 80, longLong(99), Buffer.from([0]))],
    ['a body without a header', frameBytes(3, 1, Buffer.from('x'))],
    ['a header without a method', frameBytes(2, 1, Buffer.alloc(14))],
    ['a return that is cut short', Buffer.concat([returnOf(), methodBytes(1, 60, 80, longLong(1), Buffer.from([0]))])],
    ['a channel that is not there', methodBytes(7, 60, 80, longLong(1), Buffer.from([0]))],
    ['answers to nothing', Buffer.concat(Array.from({ length: 9 }, () => methodBytes(1, 50, 11)))],
  ])('later: %s', async (_, bytes) => {
    rig.server.fault = () => 'hold';
    const sink = rig.sink();
    const batch = sampleBatch('logs', 1, [2]);
    const answer = deliver(sink, batch);
    await isUnderWay(2);
    rig.server.say(bytes);
    expect(await answer).toMatchObject({ kind: 'retryable', reason: expect.stringMatching(/no AMQP/) });
    rig.server.fault = () => undefined;
    expect(await deliver(sink, batch)).toEqual(delivered);
  });

  it('never end in anything but an answer', async () => {
    const random = new SeededRandom(7);
    const good = [
      start,
      tuneOf(131_072),
      methodBytes(0, 10, 41, shortString('')),
      methodBytes(1, 20, 11, Buffer.alloc(4)),
    ];
    const rest = [
      methodBytes(1, 85, 11),
      methodBytes(1, 50, 11),
      returnOf(),
      methodBytes(1, 60, 80, longLong(1), short(0)),
    ];
    for (let round = 0; round < 60; round += 1) {
      const bytes = Buffer.from(Buffer.concat([...good, ...rest]));
      for (let flips = 0; flips < 1 + (round % 4); flips += 1) {
        bytes[random.uint32() % bytes.length] = random.uint32() & 255;
      }
      rig.server.greeting = bytes;
      const answer = await deliver(rig.sink({ timeoutMs: 60 }), sampleBatch('logs', 1, [1]));
      expect(answer.kind).toMatch(/^(?:retryable|blocked|delivered)$/);
    }
  });
});

it('a heartbeat is sent in time, and asked for', async () => {
  rig.server.tune = { frameMax: 0, heartbeat: 1 };
  const sink = rig.sink();
  await deliver(sink, sampleBatch('logs', 1, [1]));
  expect(rig.server.agreed).toEqual({ frameMax: 131_072, heartbeat: 1 });
  await expect.poll(() => rig.server.heartbeats, { timeout: 5_000 }).toBeGreaterThan(0);
});

it('the end says goodbye, and leaves nothing behind', async () => {
  const sink = rig.sink();
  await deliver(sink, sampleBatch('logs', 1, [1]));
  await sink.close?.();
  expect(rig.server.goodbyes).toBe(1);
  await expect.poll(() => rig.server.openConnections).toBe(0);
  const waiting = rig.sink();
  rig.server.fault = () => 'hold';
  const answer = deliver(waiting, sampleBatch('logs', 2, [1]));
  await isUnderWay(2);
  await waiting.close?.();
  expect(await answer).toMatchObject({ kind: 'retryable' });
  await expect.poll(() => rig.server.openConnections).toBe(0);
});

it('the end while it connects leaves nothing behind either', async () => {
  rig.server.answerToOpen = Buffer.alloc(0);
  const sink = rig.sink();
  const answer = deliver(sink, sampleBatch('logs', 1, [1]));
  await expect.poll(() => rig.server.logins.length).toBe(1);
  await sink.close?.();
  rig.server.say(methodBytes(0, 10, 41, shortString('')));
  expect(await answer).toEqual({ kind: 'retryable', reason: expect.stringMatching(/the sink is closed/) });
  await expect.poll(() => rig.server.openConnections).toBe(0);
  expect(rig.stored()).toEqual([]);
});

it('questions and batches at the same time take turns on one connection', async () => {
  const sink = rig.sink();
  const signal = new AbortController().signal;
  const answers = [1, 2, 3].flatMap((id) => [
    sink.checkHealth?.({ signal }),
    deliver(sink, sampleBatch('logs', id, [1])),
  ]);
  const healthy = { kind: 'healthy' };
  expect(await Promise.all(answers)).toEqual([healthy, delivered, healthy, delivered, healthy, delivered]);
  expect(rig.markers()).toEqual(markersOf(1, 3));
  expect(rig.server.connections).toBe(1);
});

it('a password is in no reason and no log, also where the server repeats it', async () => {
  const password = 'pa$$w%rd';
  const options = { connection_string: rig.server.url.replace('//', `//me:${encodeURIComponent(password)}@`) };
  const answers: unknown[] = [];
  const tryOnce = async (): Promise<void> => {
    const sink = rig.sink({ options, timeoutMs: 300 });
    answers.push(await deliver(sink, sampleBatch('logs', 1, [1])));
    answers.push(await sink.checkHealth?.({ signal: new AbortController().signal }));
  };
  await tryOnce();
  rig.server.password = password;
  rig.server.fault = () => ({ closeConnection: 320, text: `you are ${password}` });
  await tryOnce();
  rig.server.fault = () => 'drop';
  await tryOnce();
  rig.server.greeting = Buffer.from(`HTTP ${password}`);
  await tryOnce();
  expect(rig.server.logins).toContain(`PLAIN  me ${password}`);
  const shown = JSON.stringify([answers, rig.logged]);
  expect(shown).toContain('you said ***');
  expect(shown).toContain('you are ***');
  expect(shown).not.toContain(password);
  expect(shown).not.toContain(encodeURIComponent(password));
});

function tuneOf(frameMax: number): Buffer {
  return methodBytes(0, 10, 30, short(1), long(frameMax), short(0));
}

function returnOf(): Buffer {
  return methodBytes(1, 60, 50, short(312), shortString('NO_ROUTE'), shortString(''), shortString('events'));
}
