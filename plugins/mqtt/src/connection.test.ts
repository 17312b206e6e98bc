// Connecting, losing a connection and resuming a session, against a server in this process that does what servers do.
import { createServer as createTcpServer, type Socket } from 'node:net';
import type { Sink } from 'spillway/plugin';
import { markersIn, markersOf, sampleBatch } from 'spillway/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Greeting } from '../test/mqtt-double.ts';
import { deliver, deliverInTheEnd, SinkBench } from '../test/sink-bench.ts';

const delivered = { kind: 'delivered' };
const batch = sampleBatch('logs', 1, [6]);
let bench: SinkBench;

beforeEach(async () => {
  bench = await SinkBench.start();
});

afterEach(async () => {
  await bench.stop();
});

const markers = (): string[] => bench.server.payloads.flatMap(markersIn);
const health = (sink: Sink): unknown => sink.checkHealth?.({ signal: new AbortController().signal });

describe('CONNECT', () => {
  it('says who it is', async () => {
    await deliver(bench.make({ options: { user: 'ada', password: 'right', client_id: 'me', keep_alive: 7 } }), batch);
    const expected = { clientId: 'me', clean: true, keepalive: 7, username: 'ada', password: Buffer.from('right') };
    expect(bench.server.connects).toMatchObject([expected]);
    expect(bench.server.connects[0]?.properties).toEqual({ maximumPacketSize: 65_536 });
  });

  it('has a name that is the same after a restart, and that of another cursor is another', async () => {
    for (const origin of [{}, {}, { cursor: 'other' }, { uuid: undefined }, { uuid: undefined }]) {
      await deliver(bench.make({ origin }), batch);
    }
    const [first, again, other, ...random] = bench.server.connects.map(({ clientId }) => clientId);
    expect(again).toBe(first);
    expect(new Set([first, other, ...random]).size).toBe(4);
    for (const name of [first, other, ...random]) expect(name).toMatch(/^spillway[0-9a-f]{15}$/);
  });

  it.each([
    [0x80, 'retryable'],
    [0x81, 'retryable'],
    [0x84, 'blocked'],
    [0x85, 'blocked'],
    [0x86, 'blocked'],
    [0x87, 'blocked'],
    [0x88, 'retryable'],
    [0x89, 'retryable'],
    [0x8a, 'blocked'],
    [0x8c, 'blocked'],
    [0x95, 'blocked'],
    [0x97, 'retryable'],
    [0x9c, 'blocked'],
    [0x9d, 'blocked'],
    [0x9f, 'retryable'],
    [0xee, 'retryable'],
  ])('that is answered 0x%x is %s', async (code, kind) => {
    const properties = { reasonString: 'because', serverReference: 'other:1883' };
    bench.server.greeting = { instead: Buffer.from([0x20, 3, 0, code, 0]) };
    expect(await deliver(bench.make(), batch)).toMatchObject({ kind, reason: expect.stringContaining('refused') });
    if (code === 0xee) return;
    bench.server.greeting = { code, properties };
    expect(await health(bench.make())).toEqual({
      kind,
      reason: expect.stringMatching(/\(0x[0-9a-f]{2}\); because; server reference other:1883$/),
    });
  });

  it.each([
    [1, 'blocked'],
    [2, 'blocked'],
    [3, 'retryable'],
    [4, 'blocked'],
    [5, 'blocked'],
    [9, 'retryable'],
  ])('of 3.1.1 that is answered %i is %s', async (code, kind) => {
    bench.server.greeting = { code };
    const sink = bench.make({ options: { protocol_version: '3.1.1' } });
    expect(await deliver(sink, batch)).toMatchObject({ kind, reason: expect.stringContaining(`(0x0${code})`) });
    bench.server.greeting = {};
    expect(await deliver(sink, batch)).toEqual(delivered);
  });

  it('of MQTT 5 to a server that does not know it says what to do', async () => {
    bench.server.greeting = { instead: Buffer.from([0x20, 2, 0, 1]) };
    const reason = expect.stringContaining('set protocol_version');
    expect(await deliver(bench.make(), batch)).toMatchObject({ kind: 'blocked', reason });
  });

  it.each<[string, NonNullable<Greeting['instead']>, RegExp]>([
    ['silence', 'silence', /no answer in time while waiting for CONNACK/],
    ['an end', 'close', /closed|reset/],
    ['half of an answer', Buffer.from([0x20, 3, 0]), /no answer in time/],
    ['a PUBACK', Buffer.from([0x40, 2, 0, 1]), /PUBACK when it was not its turn/],
    ['a message', Buffer.from([0x30, 5, 0, 1, 65]), /PUBLISH when it was not its turn/],
    ['another protocol', Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'), /expected an answer in MQTT, found/],
    ['an old session', Buffer.from([0x20, 3, 1, 0, 0]), /a new one was asked for/],
  ])('that is answered with %s is retryable', async (_, instead, reason) => {
    bench.server.greeting = { instead };
    const sink = bench.make({ timeoutMs: 200 });
    expect(await deliver(sink, batch)).toMatchObject({ kind: 'retryable', reason: expect.stringMatching(reason) });
    await expect.poll(() => bench.server.openConnections).toBe(0);
  });

  it('is given up after connect_timeout_secs', async () => {
    bench.server.greeting = { instead: 'silence' };
    const sink = bench.make({ options: { connect_timeout_secs: 0.05 }, timeoutMs: 60_000 });
    expect(await deliver(sink, batch)).toMatchObject({ kind: 'retryable', reason: expect.stringMatching(/in time/) });
  });

  it.each([
    ['an address where nobody listens', { port: 1 }, 'retryable', /^127.0.0.1:1: nothing listens there/],
    ['a file of certificates that is not there', { tls: { ca_file: '/nonexistent/ca.pem' } }, 'blocked', /ca.pem/],
  ])('to %s is %s', async (_, options, kind, reason) => {
    const answer = await deliver(bench.make({ options }), batch);
    expect(answer).toMatchObject({ kind, reason: expect.stringMatching(reason) });
  });
});

describe('a connection', () => {
  it('is opened by the first batch, and by the next when it was lost', async () => {
    const sink = bench.make();
    expect(bench.server.connects).toHaveLength(0);
    await deliver(sink, batch);
    bench.server.breakConnections();
    await expect.poll(() => bench.server.openConnections).toBe(0);
    expect(await deliverInTheEnd(sink, sampleBatch('logs', 7, [1]))).toSatisfy((answers) => answers.length <= 1);
    expect(bench.server.connects).toHaveLength(2);
    expect(markers()).toEqual(markersOf(1, 7));
  });

  it.each(['drop', 'lose'] as const)('that is lost (%s) after each publish repeats that one at most', async (fate) => {
    for (let at = 0; at < 6; at += 1) {
      const sink = bench.make({ options: { max_in_flight: 1 } });
      const from = bench.server.published.length;
      bench.server.fates(...Array(at).fill('ack'), fate);
      expect(await deliverInTheEnd(sink, batch)).toMatchObject([{ kind: 'retryable' }]);
      const expected = markersOf(1, 6);
      if (fate === 'lose') expected.splice(at, 0, expected[at] as string);
      expect(markers().slice(from)).toEqual(expected);
    }
  });

  it.each([
    [0x00, 'retryable'],
    [0x81, 'retryable'],
    [0x87, 'blocked'],
    [0x89, 'retryable'],
    [0x8b, 'retryable'],
    [0x8d, 'retryable'],
    [0x8e, 'blocked'],
    [0x93, 'retryable'],
    [0x95, 'too_large'],
    [0x97, 'retryable'],
    [0x98, 'retryable'],
    [0x99, 'rejected'],
    [0x9a, 'blocked'],
    [0x9b, 'blocked'],
    [0x9d, 'blocked'],
  ])('that the server ends with 0x%x is %s, and afterwards all goes on', async (reasonCode, kind) => {
    const sink = bench.make();
    bench.server.fate = (publish) => {
      if (markersIn(publish.payload as Buffer)[0] !== 'event-000003') return 'ack';
      bench.server.say({ cmd: 'disconnect', reasonCode });
      return 'silent';
    };
    const reason = expect.stringMatching(/^127\.0\.0\.1:\d+: the server ended the connection/);
    expect(await deliver(sink, batch)).toMatchObject({ kind, reason });
    bench.server.fate = () => 'ack';
    expect(await deliver(sink, batch)).toEqual(delivered);
    expect([...new Set(markers())].sort()).toEqual(markersOf(1, 6));
  });

  it.each([
    [{ client_id: 'fleet' }, true],
    [{}, false],
  ])('that ends without a word may be that of another client with the same client_id: %o', async (options, isSaid) => {
    bench.server.fates('drop');
    const answer = await deliver(bench.make({ options }), batch);
    expect(answer).toMatchObject({ kind: 'retryable', reason: expect.stringMatching(/closed|reset/) });
    expect(/another client may have this client_id/.test(JSON.stringify(answer))).toBe(isSaid);
  });

  it('that another client took over while nothing was sent is told in the log, once', async () => {
    const sink = bench.make();
    bench.server.fates('drop');
    for (let first = 1; first <= 3; first += 1) {
      await deliverInTheEnd(sink, sampleBatch('logs', first, [1]));
      bench.server.say({ cmd: 'disconnect', reasonCode: 0x8e });
      await expect.poll(() => bench.server.openConnections).toBe(0);
    }
    const warnings = bench.context.log.lines.filter(({ level }) => level === 'warn');
    const fields = { reason: expect.stringContaining('another client has this client_id (0x8e)') };
    expect(warnings).toMatchObject([{ message: 'the connection was lost while nothing was sent', fields }]);
  });

  it('is given up when an answer is late, which then means nothing any more', async () => {
    const sink = bench.make({ timeoutMs: 100 });
    bench.server.fate = () => 'hold';
    const reason = expect.stringContaining('no answer in time while waiting for PUBACK');
    expect(await deliver(sink, batch)).toMatchObject({ kind: 'retryable', reason });
    await expect.poll(() => bench.server.openConnections).toBe(0);
    bench.server.release();
    bench.server.fate = () => 'ack';
    const from = bench.server.arrived.length;
    expect(await deliver(bench.make(), batch)).toEqual(delivered);
    expect(bench.server.arrived.length - from).toBe(6);
  });

  it('is given up when the pipeline says so', async () => {
    const sink = bench.make({ timeoutMs: 60_000 });
    bench.server.fate = () => 'silent';
    const stop = new AbortController();
    const answer = deliver(sink, batch, stop.signal);
    await expect.poll(() => bench.server.arrived.length).toBe(6);
    stop.abort();
    expect(await answer).toMatchObject({ kind: 'retryable', reason: expect.stringContaining('given up') });
    await expect.poll(() => bench.server.openConnections).toBe(0);
  });

  it.each([
    ['a PUBACK for what was not sent', Buffer.from([0x40, 2, 0x77, 0x77]), 'retryable', /no message that is under way/],
    ['a second CONNACK', Buffer.from([0x20, 3, 0, 0, 0]), 'retryable', /CONNACK when it was not its turn/],
    ['garbage', Buffer.from([0xff, 0xff, 0xff, 0xff]), 'retryable', /begins with 0xff/],
    ['a packet without an end', Buffer.from([0x40, 0xff, 0xff, 0xff, 0x7f]), 'retryable', /at least/],
    ['a message', Buffer.from([0x32, 9, 0]), 'blocked', /give the sink a client_id of its own/],
  ])('on which the server says %s is given up', async (_, bytes, kind, reason) => {
    const sink = bench.make();
    bench.server.fate = () => 'silent';
    const answer = deliver(sink, batch);
    await expect.poll(() => bench.server.arrived.length).toBe(6);
    bench.server.say(bytes);
    expect(await answer).toMatchObject({ kind, reason: expect.stringMatching(reason) });
    await expect.poll(() => bench.server.openConnections).toBe(0);
    bench.server.fate = () => 'ack';
    expect(await deliver(sink, batch)).toEqual(delivered);
  });

  it('on which the server says garbage while nobody waits is not used again', async () => {
    const sink = bench.make();
    await deliver(sink, batch);
    bench.server.say(Buffer.from([0xff]));
    await expect.poll(() => bench.server.openConnections).toBe(0);
    expect(await deliver(sink, sampleBatch('logs', 7, [1]))).toEqual(delivered);
    expect(bench.server.connects).toHaveLength(2);
  });

  it('is kept alive while nothing is sent, and given up when nobody answers', async () => {
    bench.server.greeting = { properties: { serverKeepAlive: 1 } };
    const sink = bench.make({ options: { keep_alive: 600 }, timeoutMs: 100_000, speed: 20 });
    await deliver(sink, batch);
    await expect.poll(() => bench.server.others.length).toBeGreaterThan(1);
    expect(bench.server.others[0]).toMatchObject({ cmd: 'pingreq' });
    bench.server.answersPings = false;
    await expect.poll(() => bench.server.openConnections).toBe(0);
  });

  it('is healthy when the server answers on it', async () => {
    const sink = bench.make({ timeoutMs: 200 });
    expect(await health(sink)).toEqual({ kind: 'healthy' });
    expect(await health(sink)).toEqual({ kind: 'healthy' });
    expect(bench.server.connects).toHaveLength(1);
    bench.server.answersPings = false;
    expect(await health(sink)).toMatchObject({ kind: 'retryable', reason: expect.stringMatching(/PINGRESP/) });
  });

  it('is ended in peace, and nothing is left of it', async () => {
    const sink = bench.make();
    await deliver(sink, batch);
    await sink.close?.();
    await expect.poll(() => bench.server.openConnections).toBe(0);
    expect(bench.server.others).toMatchObject([{ cmd: 'disconnect', reasonCode: 0 }]);
  });
});

describe('a session', () => {
  const resumed = { clean_session: false, session_expiry_secs: 100 };

  it('is begun by one connection and resumed by the next: what was under way goes first, as a repeat', async () => {
    const sink = bench.make({ options: { ...resumed, max_in_flight: 3 } });
    bench.server.fates('ack', 'ack', 'silent', 'silent', 'lose');
    expect(await deliverInTheEnd(sink, batch)).toMatchObject([{ kind: 'retryable' }]);
    expect(bench.server.connects).toMatchObject([
      { clean: true, properties: { sessionExpiryInterval: 100 } },
      { clean: false, properties: { sessionExpiryInterval: 100 } },
    ]);
    const sent = bench.server.arrived.map(({ messageId, dup }) => ({ messageId, dup }));
    expect(sent).toEqual([
      ...[1, 2, 3, 4, 5].map((messageId) => ({ messageId, dup: false })),
      ...[3, 4, 5].map((messageId) => ({ messageId, dup: true })),
      { messageId: 6, dup: false },
    ]);
    expect(bench.server.arrived.slice(5).flatMap(({ payload }) => markersIn(payload as Buffer))).toEqual(
      markersOf(3, 4),
    );
  });

  it('that the server has lost is begun anew, with nothing of the old one', async () => {
    const sink = bench.make({ options: resumed });
    bench.server.fates('silent', 'silent', 'drop');
    expect(await deliver(sink, batch)).toMatchObject({ kind: 'retryable' });
    bench.server.forgetSessions();
    const from = bench.server.arrived.length;
    expect(await deliver(sink, batch)).toEqual(delivered);
    expect(bench.server.arrived.slice(from).every(({ dup }) => !dup)).toBe(true);
    expect(markers()).toEqual(markersOf(1, 6));
  });

  it('ends with the sink, which alone knows what was under way in it', async () => {
    const sink = bench.make({ options: resumed });
    await deliver(sink, batch);
    await sink.close?.();
    await expect.poll(() => bench.server.others.length).toBe(1);
    expect(bench.server.others).toMatchObject([{ cmd: 'disconnect', properties: { sessionExpiryInterval: 0 } }]);
  });

  it('of 3.1.1 is resumed from the first connection on', async () => {
    const sink = bench.make({ options: { clean_session: false, protocol_version: '3.1.1' } });
    bench.server.fates('ack', 'silent', 'drop');
    expect(await deliverInTheEnd(sink, batch)).toMatchObject([{ kind: 'retryable' }]);
    expect(bench.server.connects.map(({ clean }) => clean)).toEqual([false, false]);
    expect(bench.server.arrived.filter(({ dup }) => dup).map(({ messageId }) => messageId)).toContain(2);
  });

  it('of its own has every connection else', async () => {
    const sink = bench.make();
    bench.server.fates('ack', 'silent', 'drop');
    expect(await deliverInTheEnd(sink, batch)).toMatchObject([{ kind: 'retryable' }]);
    expect(bench.server.connects.map(({ clean }) => clean)).toEqual([true, true]);
    expect(bench.server.arrived.some(({ dup }) => dup)).toBe(false);
  });
});

describe('secrets', () => {
  const password = 'hunter2 & co';

  it('are shown to the server alone, whatever it says', async () => {
    const told: unknown[] = [];
    const url = `mqtt://ada:${encodeURIComponent(password)}@127.0.0.1:${bench.server.port}`;
    for (const options of [
      { password, user: 'ada' },
      { url, host: undefined, port: undefined },
    ]) {
      for (const greeting of greetings()) {
        bench.server.greeting = greeting;
        const sink = bench.make({ options, timeoutMs: 100 });
        told.push(await deliver(sink, batch), await health(sink), bench.context.log.lines);
      }
      bench.server.greeting = {};
      bench.server.fates({ code: 0x87, reason: `no ${password}` });
      told.push(await deliver(bench.make({ options }), batch), bench.context.log.lines);
    }
    expect(bench.server.connects.every((connect) => connect.password?.toString() === password)).toBe(true);
    expect(JSON.stringify(told)).toContain('***');
    expect(JSON.stringify(told)).not.toContain('hunter2');
  });

  function greetings(): Greeting[] {
    const properties = { reasonString: `no ${password} for you`, serverReference: password };
    return [
      { code: 0x86, properties },
      { instead: 'close' },
      { instead: Buffer.from(password) },
      { instead: 'silence' },
    ];
  }
});

describe('a socket', () => {
  it('does not stay behind when a handshake is given up', async () => {
    const sockets = new Set<Socket>();
    const silent = createTcpServer((socket) => {
      sockets.add(socket);
      socket
        .resume()
        .on('error', () => undefined)
        .on('close', () => sockets.delete(socket));
    }).listen(0, '127.0.0.1');
    await expect.poll(() => silent.listening).toBe(true);
    const { port } = silent.address() as { readonly port: number };
    const sink = bench.make({ options: { port, tls: {} }, timeoutMs: 100 });
    expect(await deliver(sink, batch)).toMatchObject({
      kind: 'retryable',
      reason: expect.stringMatching(/while connecting/),
    });
    await expect.poll(() => sockets.size).toBe(0);
    await new Promise((resolve) => silent.close(resolve));
  });
});
