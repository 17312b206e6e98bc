import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { postHead, RawClient, turn, until } from '../../../test/http-rig.ts';
import { ListenerRig, noise } from '../../../test/listener-rig.ts';

const KiB = 1024;

let rig: ListenerRig;

beforeEach(() => {
  rig = new ListenerRig();
});

afterEach(() => rig.end());

describe('a slow client', () => {
  it('is answered 408 when its body takes too long, and a good one is served meanwhile', async () => {
    await rig.listen({ bodyTimeoutMs: 30_000 });
    const slow = await rig.client();
    slow.send(postHead('/', { 'content-length': 10 }), 'x');
    await until(() => rig.listener.bytesInFlight === 1);
    await rig.world.sim.advance(29_999);
    expect(await rig.post('good')).toMatchObject({ status: 200 });
    await rig.world.sim.advance(1);
    const reply = await slow.reply();
    expect(reply.status).toBe(408);
    expect(reply.headers.get('connection')).toBe('close');
    await rig.world.sim.advance(2_000);
    await slow.closed;
  });

  it.each([
    ['sends nothing', ''],
    ['sends half a head', 'POST / HTTP/1.1\r\nhost: te'],
  ])('that %s is closed after the time for a head', async (_what, text) => {
    await rig.listen({ headTimeoutMs: 500 });
    const slow = await rig.client();
    slow.send(text);
    expect(await rig.post('good')).toMatchObject({ status: 200 });
    await slow.closed;
  });

  it('that is silent after an answer is closed after the idle time', async () => {
    await rig.listen({ idleTimeoutMs: 300 });
    const idle = await rig.client();
    idle.send(postHead('/', { 'content-length': 1 }), 'x');
    expect(await idle.reply()).toMatchObject({ status: 200 });
    await idle.closed;
  });

  it('that waits for its answer longer than the idle time gets it', async () => {
    await rig.listen({ idleTimeoutMs: 200 });
    const { release } = rig.hold();
    const patient = await rig.client();
    patient.send(postHead('/', { 'content-length': 1 }), 'x');
    await until(() => rig.handler.bodies.length === 1);
    // Real time, because node:http keeps this one: as long as two others were silent and were closed for it.
    await (await rig.client()).closed;
    await (await rig.client()).closed;
    release();
    expect(await patient.reply()).toMatchObject({ status: 200 });
  });
});

describe('a connection', () => {
  it('beyond the limit is closed at once, and there is room again when one ends', async () => {
    await rig.listen({ connectionsMax: 2 });
    const first = await rig.client();
    const second = await rig.client();
    await until(() => rig.listener.connectionCount === 2);
    const third = await rig.client();
    await third.closed;
    first.destroy();
    await until(() => rig.listener.connectionCount === 1);
    second.send(postHead('/', { 'content-length': 1 }), 'x');
    expect(await second.reply()).toMatchObject({ status: 200 });
    expect(await rig.post('x')).toMatchObject({ status: 200 });
  });

  it('that is half closed by its client still gets its answer', async () => {
    await rig.listen();
    const half = await rig.client();
    half.send(postHead('/', { 'content-length': 3 }), 'abc');
    half.socket.end();
    expect(await half.reply()).toMatchObject({ status: 200, body: Buffer.from('3') });
    await half.closed;
  });

  it('carries requests one after the other, also past refused ones', async () => {
    await rig.listen();
    const one = await rig.client();
    for (const [path, status] of [
      ['/', 200],
      ['/missing', 404],
      ['/', 200],
      ['/broken', 500],
      ['/', 200],
    ] as const) {
      one.send(postHead(path, { 'content-length': 200_000 }), 'x'.repeat(200_000));
      expect(await one.reply()).toMatchObject({ status });
    }
    expect(rig.log.lines.filter(({ level }) => level === 'error')).toHaveLength(1);
  });

  it('with pipelined requests gets the answers in order', async () => {
    await rig.listen();
    const one = await rig.client();
    for (const size of [1, 2, 3, 4]) one.send(postHead('/', { 'content-length': size }), 'x'.repeat(size));
    for (const size of ['1', '2', '3', '4']) expect((await one.reply()).body.toString()).toBe(size);
  });

  it('that floods requests without waiting for answers is cut', async () => {
    await rig.listen();
    const { release } = rig.hold();
    const flood = await rig.client();
    const request = `${postHead('/', { 'content-length': 1 })}x`;
    flood.send(request.repeat(1000));
    await flood.closed;
    expect(rig.handler.bodies.length).toBeLessThanOrEqual(64);
    release();
  });

  it.each([
    'NONSENSE\r\n\r\n',
    'POST / HTTP/1.1\r\n\r\n',
    `${postHead('/', { 'content-length': 'x' })}`,
    'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n',
    `${postHead('/', { 'transfer-encoding': 'chunked' })}zz\r\n`,
  ])('that speaks no HTTP is answered 400 and closed (%#)', async (text) => {
    await rig.listen();
    const odd = await rig.client();
    odd.send(text);
    await odd.closed;
    expect(odd.received).toMatch(/^HTTP\/1.1 400 /);
    expect(rig.handler.bodies).toEqual([]);
  });

  it('with a head that is too large is answered 431', async () => {
    await rig.listen();
    const large = await rig.client();
    large.send(postHead('/', { 'content-length': 0, padding: 'x'.repeat(20_000) }));
    await large.closed;
    expect(large.received).toMatch(/^HTTP\/1.1 431 /);
  });
});

describe('Expect: 100-continue', () => {
  it('gets its word before the body, and the answer after it', async () => {
    await rig.listen();
    const polite = await rig.client();
    polite.send(postHead('/', { 'content-length': 3, expect: '100-continue' }));
    expect(await polite.reply()).toMatchObject({ status: 100 });
    polite.send('abc');
    expect(await polite.reply()).toMatchObject({ status: 200 });
  });

  it.each([
    ['/missing', 3, 404],
    ['/', 30_000_000, 413],
  ])('gets the refusal instead, and the connection ends (%s)', async (path, length, status) => {
    await rig.listen();
    const polite = await rig.client();
    polite.send(postHead(path, { 'content-length': length, expect: '100-continue' }));
    const reply = await polite.reply();
    expect(reply.status).toBe(status);
    expect(reply.headers.get('connection')).toBe('close');
    // One that sends the body all the same is not reset for it.
    expect(await rig.post('x')).toMatchObject({ status: 200 });
    expect(polite.isClosed).toBe(false);
    polite.send('abc').socket.end();
    await polite.closed;
    expect(polite.failure).toBeUndefined();
  });

  it('of something else is answered 417', async () => {
    await rig.listen();
    expect(await rig.post('abc', { expect: 'a miracle' })).toMatchObject({ status: 417 });
  });
});

describe('an Origin', () => {
  it('is refused unless it is allowed', async () => {
    await rig.listen({}, ['https://good.example']);
    expect(await rig.post('x', { origin: 'https://bad.example' })).toMatchObject({ status: 403 });
    expect(await rig.post('x', { origin: 'null' })).toMatchObject({ status: 403 });
    const reply = await rig.post('x', { origin: 'https://good.example' });
    expect(reply.status).toBe(200);
    expect(reply.headers.get('access-control-allow-origin')).toBe('https://good.example');
    expect(reply.headers.get('vary')).toBe('Origin');
    expect(rig.handler.bodies).toHaveLength(1);
  });

  it('may ask beforehand', async () => {
    await rig.listen({}, ['*']);
    const page = await rig.client();
    const ask = 'access-control-request-method: POST\r\naccess-control-request-headers: content-type\r\n';
    page.send(`OPTIONS / HTTP/1.1\r\nhost: a\r\norigin: https://any.example\r\n${ask}\r\n`);
    const reply = await page.reply();
    expect(reply.status).toBe(204);
    expect(reply.headers.get('access-control-allow-headers')).toBe('content-type');
    expect(reply.headers.get('access-control-allow-origin')).toBe('https://any.example');
  });
});

describe('the operator', () => {
  it('is told of refusals and of connections that found no place, once in ten seconds', async () => {
    await rig.listen({ connectionsMax: 1 });
    const only = await rig.client();
    for (let i = 0; i < 3; i++) {
      only.send(postHead('/missing', { 'content-length': 0 }));
      expect(await only.reply()).toMatchObject({ status: 404 });
    }
    for (let i = 0; i < 3; i++) await (await rig.client()).closed;
    expect(rig.log.lines).toEqual([
      { level: 'warn', message: 'requests were refused', fields: { events: 1, status: 404, reason: 'missing' } },
      {
        level: 'warn',
        message: 'connections were closed: too many are open',
        fields: { events: 1, connectionsMax: 1 },
      },
    ]);
    only.destroy();
    await rig.listener.close();
    expect(rig.log.lines.map(({ fields }) => fields['events'])).toEqual([1, 1, 2, 2]);
  });
});

describe('many bad clients at once', () => {
  it('disturb nobody, and leave nothing behind', async () => {
    await rig.listen({ bodyBytesMax: 100 * KiB, inFlightBytesMax: 4 * KiB * KiB, connectionsMax: 400 });
    const bomb = gzipSync(Buffer.alloc(64 * KiB * KiB));
    const broken = gzipSync(noise(50 * KiB)).subarray(0, 20 * KiB);
    const misdeeds: readonly ((bad: RawClient) => void)[] = [
      (bad) => bad.send(postHead('/', { 'content-length': bomb.length, 'content-encoding': 'gzip' }), bomb),
      (bad) => bad.send(postHead('/', { 'content-length': broken.length, 'content-encoding': 'gzip' }), broken),
      (bad) => bad.send(postHead('/', { 'content-length': 50_000 }), noise(25_000)),
      (bad) => bad.send(postHead('/', { 'transfer-encoding': 'chunked' }), '40000\r\n', noise(0x40000), '\r\n'),
      (bad) => bad.send('POST / HTTP/1.1\r\nhost'),
      (bad) => bad.send(noise(2000)),
      (bad) => bad.send(postHead('/', { 'content-length': 3 }), 'abc').destroy(),
      (bad) => bad.send(postHead('/missing', { 'content-length': 90_000 })).socket.end(),
    ];
    const bad = await Promise.all(Array.from({ length: 200 }, () => rig.client()));
    for (const [index, each] of bad.entries()) misdeeds[index % misdeeds.length]?.(each);
    const good = Array.from({ length: 100 }, async (_, index) => {
      const reply = await rig.post('g'.repeat(index));
      return [reply.status, reply.body.toString()];
    });
    expect(await Promise.all(good)).toEqual(Array.from({ length: 100 }, (_, index) => [200, String(index)]));
    for (const each of bad) each.destroy();
    await until(() => rig.listener.connectionCount === 0);
    expect(rig.listener.bytesInFlight).toBe(0);
  });
});

describe('stopping', () => {
  it('answers what is under way, closes what is idle, and takes nothing more', async () => {
    await rig.listen();
    const { release } = rig.hold();
    const idle = await rig.client();
    idle.send(postHead('/', { 'content-length': 1 }), 'x');
    const busy = await rig.client();
    busy.send(postHead('/', { 'content-length': 1 }), 'y');
    const mute = await rig.client();
    await until(() => rig.handler.bodies.length === 2 && rig.listener.connectionCount === 3);
    const closed = rig.listener.close();
    await expect(RawClient.connect(rig.url)).rejects.toThrow(/ECONNREFUSED/);
    release();
    const reply = await busy.reply();
    expect(reply.status).toBe(200);
    expect(reply.headers.get('connection')).toBe('close');
    await closed;
    await Promise.all([idle.closed, busy.closed, mute.closed]);
  });

  it('tells a request that comes after all to come again', async () => {
    await rig.listen();
    const { release } = rig.hold();
    const busy = await rig.client();
    busy.send(postHead('/', { 'content-length': 1 }), 'x');
    const late = await rig.client();
    late.send('POST / HTTP/1.1\r\n');
    await until(() => rig.handler.bodies.length === 1 && rig.listener.connectionCount === 2);
    const closed = rig.listener.close();
    late.send('host: a\r\ncontent-length: 1\r\n\r\nx');
    const reply = await late.reply();
    expect(reply.status).toBe(503);
    expect(reply.headers.get('retry-after')).toBe('1');
    release();
    await closed;
    expect(rig.handler.bodies).toHaveLength(1);
  });

  it('waits for a handler whose client has gone away', async () => {
    await rig.listen();
    const { release } = rig.hold();
    const one = await rig.client();
    one.send(postHead('/', { 'content-length': 1 }), 'x');
    await until(() => rig.handler.bodies.length === 1);
    one.destroy();
    await until(() => rig.listener.connectionCount === 0);
    let isClosed = false;
    const closed = rig.listener.close().then(() => {
      isClosed = true;
    });
    await turn();
    expect(isClosed).toBe(false);
    release();
    await closed;
  });

  it('waits a second for bodies that are on their way', async () => {
    await rig.listen();
    const quick = await rig.client();
    const slow = await rig.client();
    quick.send(postHead('/', { 'content-length': 3 }), 'a');
    slow.send(postHead('/', { 'content-length': 3 }), 'a');
    await until(() => rig.listener.bytesInFlight === 2);
    const closed = rig.listener.close();
    quick.send('bc');
    expect(await quick.reply()).toMatchObject({ status: 200 });
    await rig.world.sim.advance(1_000);
    const reply = await slow.reply();
    expect(reply.status).toBe(503);
    expect(reply.headers.get('retry-after')).toBe('1');
    await rig.world.sim.advance(2_000);
    await closed;
  });

  it('does nothing to a listener that never listened', async () => {
    await rig.listen();
    await rig.listener.close();
    const unused = rig.make();
    await unused.close();
  });
});

describe('listening', () => {
  it('says why it cannot', async () => {
    await rig.listen();
    const other = rig.make();
    const port = Number(new URL(rig.url).port);
    await expect(other.listen({ host: '127.0.0.1', port })).rejects.toThrow(/EADDRINUSE.*listens there: stop it/);
    await expect(other.listen({ host: '192.0.2.1', port: 0 })).rejects.toThrow(/EADDRNOTAVAIL/);
  });

  it('names an IPv6 address as URLs do', async () => {
    await rig.listen();
    const other = rig.make();
    expect(await other.listen({ host: '::1', port: 0 })).toMatch(/^http:\/\/\[::1\]:\d+$/);
    await other.close();
  });
});
