import type { IncomingMessage } from 'node:http';
import { deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { postHead, postOnce, RawClient, type RawReply, turn, until } from '../../../test/http-rig.ts';
import { MemoryLog, type SimulatedWorld, simulatedWorld } from '../../testing/index.ts';
import { type HttpAnswer, type HttpHandler, type Refusal, retryAfterHeader } from './http-answer.ts';
import { HttpListener, type ListenerLimits, listenerLimitDefaults } from './http-listener.ts';

const KiB = 1024;

/** Answers the length of each body, when it is told to. */
class Measurer implements HttpHandler {
  readonly bodies: Uint8Array[] = [];
  readonly gone: AbortSignal[] = [];
  answerAll: Promise<unknown> = Promise.resolve();

  refusesHead({ url }: IncomingMessage): Refusal | undefined {
    return url === '/missing' ? { status: 404, message: 'missing' } : undefined;
  }

  async handle(head: IncomingMessage, body: Uint8Array, gone: AbortSignal): Promise<HttpAnswer> {
    this.bodies.push(body);
    this.gone.push(gone);
    await this.answerAll;
    if (head.url === '/broken') throw new Error('broken on purpose');
    return { status: 200, headers: {}, body: String(body.length) };
  }

  answerRefusal(_head: IncomingMessage, { status, message, retryAfterMs, headers }: Refusal): HttpAnswer {
    return { status, headers: { ...headers, ...retryAfterHeader(retryAfterMs) }, body: message };
  }
}

let world: SimulatedWorld;
let log: MemoryLog;
let handler: Measurer;
let listener: HttpListener;
let url: string;
const clients: RawClient[] = [];

async function listen(limits: Partial<ListenerLimits> = {}, allowedOrigins: readonly string[] = []): Promise<void> {
  listener = new HttpListener({
    handler,
    limits: { ...listenerLimitDefaults, ...limits },
    allowedOrigins,
    clock: world.clock,
    log,
  });
  url = await listener.listen({ host: '127.0.0.1', port: 0 });
}

async function client(): Promise<RawClient> {
  const made = await RawClient.connect(url);
  clients.push(made);
  return made;
}

function post(body: string | Uint8Array, headers: Record<string, string | number> = {}): Promise<RawReply> {
  return postOnce(url, '/', headers, body);
}

beforeEach(() => {
  world = simulatedWorld();
  log = new MemoryLog();
  handler = new Measurer();
});

afterEach(async () => {
  for (const each of clients.splice(0)) each.destroy();
  await listener.close();
  expect(listener.bytesInFlight).toBe(0);
  expect(listener.connectionCount).toBe(0);
  expect(world.clock).toHaveProperty('owedCount', 0);
});

describe('a body', () => {
  it.each([
    ['identity', (bytes: Buffer) => bytes],
    ['gzip', gzipSync],
    ['deflate', deflateSync],
    ['zstd', zstdCompressSync],
  ] as const)('arrives whole, %s, small and large, by length and in chunks', async (coding, encode) => {
    await listen();
    for (const size of [0, 1, 5 * KiB, 700 * KiB, 3 * KiB * KiB]) {
      const bytes = noise(size);
      const encoded = encode(bytes);
      const counted = await post(encoded, { 'content-encoding': coding });
      expect(counted).toMatchObject({ status: 200, body: Buffer.from(String(size)) });
      expect(Buffer.compare(handler.bodies.at(-1) ?? Buffer.alloc(1), bytes)).toBe(0);
      const chunked = await client();
      chunked.send(postHead('/', { 'content-encoding': coding.toUpperCase(), 'transfer-encoding': 'chunked' }));
      for (let at = 0; at < encoded.length; at += 100 * KiB) {
        const part = encoded.subarray(at, at + 100 * KiB);
        chunked.send(`${part.length.toString(16)}\r\n`, part, '\r\n');
      }
      chunked.send('0\r\n\r\n');
      expect(await chunked.reply()).toMatchObject({ status: 200 });
      expect(Buffer.compare(handler.bodies.at(-1) ?? Buffer.alloc(1), bytes)).toBe(0);
    }
  });

  it('is handed on without a copy when it came in one piece', async () => {
    await listen();
    await post('abc');
    // A copy of so few bytes would come from the pool that small buffers share.
    expect(handler.bodies[0]?.buffer.byteLength).not.toBe(Buffer.poolSize);
  });

  it.each(['gzip', 'deflate', 'zstd'] as const)('of %s holds no more memory than it has bytes', async (coding) => {
    await listen();
    const encode = { gzip: gzipSync, deflate: deflateSync, zstd: zstdCompressSync }[coding];
    for (const size of [1, 100, 20 * KiB]) await post(encode(noise(size)), { 'content-encoding': coding });
    for (const { buffer, length } of handler.bodies) expect(buffer.byteLength).toBeLessThanOrEqual(2 * length);
  });

  it.each([
    ['gzip', Buffer.from('this is no gzip')],
    ['gzip', gzipSync(noise(200 * KiB)).subarray(0, 100 * KiB)],
    ['gzip', gzipSync(noise(2 * KiB)).subarray(0, KiB)],
    ['gzip', Buffer.alloc(0)],
    ['gzip', flipped(gzipSync(noise(200 * KiB)), 100 * KiB)],
    ['deflate', Buffer.from('this is no zlib')],
    ['zstd', Buffer.from('this is no zstd')],
    ['zstd', zstdCompressSync(noise(2 * KiB)).subarray(0, KiB)],
    ['zstd', zstdWithWindow(27)],
  ])('that is not %s after all is answered 400 (%#)', async (coding, body) => {
    await listen();
    expect(await post(body, { 'content-encoding': coding })).toMatchObject({ status: 400 });
    expect(handler.bodies).toEqual([]);
  });

  it.each(['br', 'gzip, gzip', 'compress', 'x'])(
    'in the coding %s is answered 415, with those that are known',
    async (coding) => {
      await listen();
      const reply = await post('abc', { 'content-encoding': coding });
      expect(reply.status).toBe(415);
      expect(reply.headers.get('accept-encoding')).toContain('zstd');
    },
  );
});

describe('a body over the limit', () => {
  beforeEach(() => listen({ bodyBytesMax: 1000 }));

  it('is refused by its announced length, before it comes', async () => {
    const slow = await client();
    slow.send(postHead('/', { 'content-length': 1001 }));
    const reply = await slow.reply();
    expect(reply.status).toBe(413);
    expect(reply.headers.get('connection')).toBe('close');
  });

  it('is refused in the middle when it comes in chunks; a client that goes on sending gets the answer', async () => {
    const eager = await client();
    eager.send(postHead('/', { 'transfer-encoding': 'chunked' }));
    for (let i = 0; i < 8; i++) eager.send(`200\r\n${'x'.repeat(512)}\r\n`);
    expect(await eager.reply()).toMatchObject({ status: 413 });
    await eager.closed;
  });

  it('is cut off when the client sends on and on', async () => {
    const endless = await client();
    endless.send(postHead('/', { 'transfer-encoding': 'chunked' }));
    while (!endless.isClosed) {
      endless.send(`400\r\n${'x'.repeat(1024)}\r\n`);
      await turn();
    }
    expect(endless.received).toMatch(/^HTTP\/1.1 413 /);
  });

  it('is waited for no longer than two seconds once it is refused', async () => {
    const silent = await client();
    silent.send(postHead('/', { 'content-length': 5000 }), 'a beginning');
    expect(await silent.reply()).toMatchObject({ status: 413 });
    expect(silent.isClosed).toBe(false);
    await world.sim.advance(2_000);
    await silent.closed;
  });

  it('exactly at the limit is taken, by length, in chunks and compressed', async () => {
    expect(await post('x'.repeat(1000))).toMatchObject({ status: 200 });
    expect(await post(gzipSync('x'.repeat(1000)), { 'content-encoding': 'gzip' })).toMatchObject({ status: 200 });
    expect(await post(gzipSync('x'.repeat(1001)), { 'content-encoding': 'gzip' })).toMatchObject({ status: 413 });
  });
});

describe('a bomb', () => {
  it.each([
    ['gzip', gzipSync],
    ['deflate', deflateSync],
    ['zstd', zstdCompressSync],
  ] as const)('of %s costs the limit and no more', async (coding, encode) => {
    await listen({ bodyBytesMax: KiB * KiB, inFlightBytesMax: 4 * KiB * KiB });
    const bomb = encode(Buffer.alloc(128 * KiB * KiB));
    let highest = 0;
    const watch = setInterval(() => {
      highest = Math.max(highest, process.memoryUsage.rss());
    }, 1);
    try {
      await post('warm');
      const before = process.memoryUsage.rss();
      for (let i = 0; i < 4; i++) {
        expect(await post(bomb, { 'content-encoding': coding })).toMatchObject({ status: 413 });
      }
      expect(Math.max(0, highest - before)).toBeLessThan(64 * KiB * KiB);
    } finally {
      clearInterval(watch);
    }
    expect(listener.bytesInFlight).toBe(0);
  });
});

describe('bytes in flight', () => {
  it('are counted over all requests, and what does not fit is answered 429 while others are served', async () => {
    await listen({ inFlightBytesMax: 3000 });
    const { release } = hold();
    const first = post('x'.repeat(2000));
    await until(() => handler.bodies.length === 1);
    expect(listener.bytesInFlight).toBe(2000);
    const refused = await post('x'.repeat(2000));
    expect(refused.status).toBe(429);
    expect(refused.headers.get('retry-after')).toBe('1');
    const packed = await post(gzipSync('x'.repeat(2000)), { 'content-encoding': 'gzip' });
    expect(packed.status).toBe(429);
    const small = post('y');
    await until(() => handler.bodies.length === 2);
    release();
    expect((await first).status).toBe(200);
    expect((await small).status).toBe(200);
    expect(await post('x'.repeat(2000))).toMatchObject({ status: 200 });
  });

  it('are given back when clients vanish, at whatever point', async () => {
    await listen();
    const { release } = hold();
    const half = await client();
    half.send(postHead('/', { 'content-length': 1000 }), 'x'.repeat(500));
    await until(() => listener.bytesInFlight === 500);
    half.destroy();
    await until(() => listener.bytesInFlight === 0);
    const waiting = await client();
    waiting.send(postHead('/', { 'content-length': 3 }), 'abc');
    await until(() => handler.gone.length === 1);
    expect(handler.gone[0]?.aborted).toBe(false);
    waiting.destroy();
    await until(() => handler.gone[0]?.aborted === true);
    release();
  });
});

describe('a slow client', () => {
  it('is answered 408 when its body takes too long, and a good one is served meanwhile', async () => {
    await listen({ bodyTimeoutMs: 30_000 });
    const slow = await client();
    slow.send(postHead('/', { 'content-length': 10 }), 'x');
    await until(() => listener.bytesInFlight === 1);
    await world.sim.advance(29_999);
    expect(await post('good')).toMatchObject({ status: 200 });
    await world.sim.advance(1);
    const reply = await slow.reply();
    expect(reply.status).toBe(408);
    expect(reply.headers.get('connection')).toBe('close');
    await world.sim.advance(2_000);
    await slow.closed;
  });

  it.each([
    ['sends nothing', ''],
    ['sends half a head', 'POST / HTTP/1.1\r\nhost: te'],
  ])('that %s is closed after the time for a head', async (_what, text) => {
    await listen({ headTimeoutMs: 60 });
    const slow = await client();
    slow.send(text);
    expect(await post('good')).toMatchObject({ status: 200 });
    await slow.closed;
  });

  it('that is silent after an answer is closed after the idle time', async () => {
    await listen({ idleTimeoutMs: 50 });
    const idle = await client();
    idle.send(postHead('/', { 'content-length': 1 }), 'x');
    expect(await idle.reply()).toMatchObject({ status: 200 });
    await idle.closed;
  });

  it('that waits for its answer longer than the idle time gets it', async () => {
    await listen({ idleTimeoutMs: 20 });
    const { release } = hold();
    const patient = await client();
    patient.send(postHead('/', { 'content-length': 1 }), 'x');
    await until(() => handler.bodies.length === 1);
    // Real time, because node:http keeps this one: as long as two others were silent and were closed for it.
    await (await client()).closed;
    await (await client()).closed;
    release();
    expect(await patient.reply()).toMatchObject({ status: 200 });
  });
});

describe('a connection', () => {
  it('beyond the limit is closed at once, and there is room again when one ends', async () => {
    await listen({ connectionsMax: 2 });
    const first = await client();
    const second = await client();
    await until(() => listener.connectionCount === 2);
    const third = await client();
    await third.closed;
    first.destroy();
    await until(() => listener.connectionCount === 1);
    second.send(postHead('/', { 'content-length': 1 }), 'x');
    expect(await second.reply()).toMatchObject({ status: 200 });
    expect(await post('x')).toMatchObject({ status: 200 });
  });

  it('that is half closed by its client still gets its answer', async () => {
    await listen();
    const half = await client();
    half.send(postHead('/', { 'content-length': 3 }), 'abc');
    half.socket.end();
    expect(await half.reply()).toMatchObject({ status: 200, body: Buffer.from('3') });
    await half.closed;
  });

  it('carries requests one after the other, also past refused ones', async () => {
    await listen();
    const one = await client();
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
    expect(log.lines.filter(({ level }) => level === 'error')).toHaveLength(1);
  });

  it('with pipelined requests gets the answers in order', async () => {
    await listen();
    const one = await client();
    for (const size of [1, 2, 3, 4]) one.send(postHead('/', { 'content-length': size }), 'x'.repeat(size));
    for (const size of ['1', '2', '3', '4']) expect((await one.reply()).body.toString()).toBe(size);
  });

  it('that floods requests without waiting for answers is cut', async () => {
    await listen();
    const { release } = hold();
    const flood = await client();
    const request = `${postHead('/', { 'content-length': 1 })}x`;
    flood.send(request.repeat(1000));
    await flood.closed;
    expect(handler.bodies.length).toBeLessThanOrEqual(64);
    release();
  });

  it.each([
    'NONSENSE\r\n\r\n',
    'POST / HTTP/1.1\r\n\r\n',
    `${postHead('/', { 'content-length': 'x' })}`,
    'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n',
    `${postHead('/', { 'transfer-encoding': 'chunked' })}zz\r\n`,
  ])('that speaks no HTTP is answered 400 and closed (%#)', async (text) => {
    await listen();
    const odd = await client();
    odd.send(text);
    await odd.closed;
    expect(odd.received).toMatch(/^HTTP\/1.1 400 /);
    expect(handler.bodies).toEqual([]);
  });

  it('with a head that is too large is answered 431', async () => {
    await listen();
    const large = await client();
    large.send(postHead('/', { 'content-length': 0, padding: 'x'.repeat(20_000) }));
    await large.closed;
    expect(large.received).toMatch(/^HTTP\/1.1 431 /);
  });
});

describe('Expect: 100-continue', () => {
  it('gets its word before the body, and the answer after it', async () => {
    await listen();
    const polite = await client();
    polite.send(postHead('/', { 'content-length': 3, expect: '100-continue' }));
    expect(await polite.reply()).toMatchObject({ status: 100 });
    polite.send('abc');
    expect(await polite.reply()).toMatchObject({ status: 200 });
  });

  it.each([
    ['/missing', 3, 404],
    ['/', 30_000_000, 413],
  ])('gets the refusal instead, and the connection ends (%s)', async (path, length, status) => {
    await listen();
    const polite = await client();
    polite.send(postHead(path, { 'content-length': length, expect: '100-continue' }));
    const reply = await polite.reply();
    expect(reply.status).toBe(status);
    expect(reply.headers.get('connection')).toBe('close');
  });

  it('of something else is answered 417', async () => {
    await listen();
    expect(await post('abc', { expect: 'a miracle' })).toMatchObject({ status: 417 });
  });
});

describe('an Origin', () => {
  it('is refused unless it is allowed', async () => {
    await listen({}, ['https://good.example']);
    expect(await post('x', { origin: 'https://bad.example' })).toMatchObject({ status: 403 });
    expect(await post('x', { origin: 'null' })).toMatchObject({ status: 403 });
    const reply = await post('x', { origin: 'https://good.example' });
    expect(reply.status).toBe(200);
    expect(reply.headers.get('access-control-allow-origin')).toBe('https://good.example');
    expect(reply.headers.get('vary')).toBe('Origin');
    expect(handler.bodies).toHaveLength(1);
  });

  it('may ask beforehand', async () => {
    await listen({}, ['*']);
    const page = await client();
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
    await listen({ connectionsMax: 1 });
    const only = await client();
    for (let i = 0; i < 3; i++) {
      only.send(postHead('/missing', { 'content-length': 0 }));
      expect(await only.reply()).toMatchObject({ status: 404 });
    }
    for (let i = 0; i < 3; i++) await (await client()).closed;
    expect(log.lines).toEqual([
      { level: 'warn', message: 'requests were refused', fields: { events: 1, status: 404, reason: 'missing' } },
      {
        level: 'warn',
        message: 'connections were closed: too many are open',
        fields: { events: 1, connectionsMax: 1 },
      },
    ]);
    only.destroy();
    await listener.close();
    expect(log.lines.map(({ fields }) => fields['events'])).toEqual([1, 1, 2, 2]);
  });
});

describe('many bad clients at once', () => {
  it('disturb nobody, and leave nothing behind', async () => {
    await listen({ bodyBytesMax: 100 * KiB, inFlightBytesMax: 4 * KiB * KiB, connectionsMax: 400 });
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
    const bad = await Promise.all(Array.from({ length: 200 }, () => client()));
    for (const [index, each] of bad.entries()) misdeeds[index % misdeeds.length]?.(each);
    const good = Array.from({ length: 100 }, async (_, index) => {
      const reply = await post('g'.repeat(index));
      return [reply.status, reply.body.toString()];
    });
    expect(await Promise.all(good)).toEqual(Array.from({ length: 100 }, (_, index) => [200, String(index)]));
    for (const each of bad) each.destroy();
    await until(() => listener.connectionCount === 0);
    expect(listener.bytesInFlight).toBe(0);
  });
});

describe('stopping', () => {
  it('answers what is under way, closes what is idle, and takes nothing more', async () => {
    await listen();
    const { release } = hold();
    const idle = await client();
    idle.send(postHead('/', { 'content-length': 1 }), 'x');
    const busy = await client();
    busy.send(postHead('/', { 'content-length': 1 }), 'y');
    const mute = await client();
    await until(() => handler.bodies.length === 2 && listener.connectionCount === 3);
    const closed = listener.close();
    await expect(RawClient.connect(url)).rejects.toThrow(/ECONNREFUSED/);
    release();
    const reply = await busy.reply();
    expect(reply.status).toBe(200);
    expect(reply.headers.get('connection')).toBe('close');
    await closed;
    await Promise.all([idle.closed, busy.closed, mute.closed]);
  });

  it('waits for a handler whose client has gone away', async () => {
    await listen();
    const { release } = hold();
    const one = await client();
    one.send(postHead('/', { 'content-length': 1 }), 'x');
    await until(() => handler.bodies.length === 1);
    one.destroy();
    await until(() => listener.connectionCount === 0);
    let isClosed = false;
    const closed = listener.close().then(() => {
      isClosed = true;
    });
    await turn();
    expect(isClosed).toBe(false);
    release();
    await closed;
  });

  it('waits a second for bodies that are on their way', async () => {
    await listen();
    const quick = await client();
    const slow = await client();
    quick.send(postHead('/', { 'content-length': 3 }), 'a');
    slow.send(postHead('/', { 'content-length': 3 }), 'a');
    await until(() => listener.bytesInFlight === 2);
    const closed = listener.close();
    quick.send('bc');
    expect(await quick.reply()).toMatchObject({ status: 200 });
    await world.sim.advance(1_000);
    const reply = await slow.reply();
    expect(reply.status).toBe(503);
    expect(reply.headers.get('retry-after')).toBe('1');
    await world.sim.advance(2_000);
    await closed;
  });

  it('does nothing to a listener that never listened', async () => {
    await listen();
    await listener.close();
    const unused = new HttpListener({
      handler,
      limits: listenerLimitDefaults,
      allowedOrigins: [],
      clock: world.clock,
      log,
    });
    await unused.close();
  });
});

describe('listening', () => {
  it('says why it cannot', async () => {
    await listen();
    const other = new HttpListener({
      handler,
      limits: listenerLimitDefaults,
      allowedOrigins: [],
      clock: world.clock,
      log,
    });
    const port = Number(new URL(url).port);
    await expect(other.listen({ host: '127.0.0.1', port })).rejects.toThrow(/EADDRINUSE.*listens there: stop it/);
    await expect(other.listen({ host: '192.0.2.1', port: 0 })).rejects.toThrow(/EADDRNOTAVAIL/);
  });

  it('names an IPv6 address as URLs do', async () => {
    await listen();
    const other = new HttpListener({
      handler,
      limits: listenerLimitDefaults,
      allowedOrigins: [],
      clock: world.clock,
      log,
    });
    expect(await other.listen({ host: '::1', port: 0 })).toMatch(/^http:\/\/\[::1\]:\d+$/);
    await other.close();
  });
});

/** Keeps every later answer back. */
function hold(): { readonly release: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  handler.answerAll = promise;
  return { release: resolve };
}

/** Bytes that do not compress, the same in every run. */
function noise(size: number): Buffer {
  const bytes = Buffer.alloc(size);
  let state = 1;
  for (let at = 0; at < size; at++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    bytes[at] = state >>> 16;
  }
  return bytes;
}

function flipped(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ 0xff;
  return copy;
}

/** The head of a frame that wants a window of 2^log bytes, and an empty block. */
function zstdWithWindow(log: number): Buffer {
  return Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, (log - 10) << 3, 0x01, 0x00, 0x00]);
}
