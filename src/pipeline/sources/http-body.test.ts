import { deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { postHead, turn, until } from '../../../test/http-rig.ts';
import { ListenerRig, noise } from '../../../test/listener-rig.ts';

const KiB = 1024;

let rig: ListenerRig;

beforeEach(() => {
  rig = new ListenerRig();
});

afterEach(() => rig.end());

describe('a body', () => {
  it.each([
    ['identity', (bytes: Buffer) => bytes],
    ['gzip', gzipSync],
    ['deflate', deflateSync],
    ['zstd', zstdCompressSync],
  ] as const)('arrives whole, %s, small and large, by length and in chunks', async (coding, encode) => {
    await rig.listen();
    for (const size of [0, 1, 5 * KiB, 700 * KiB, 3 * KiB * KiB]) {
      const bytes = noise(size);
      const encoded = encode(bytes);
      const counted = await rig.post(encoded, { 'content-encoding': coding });
      expect(counted).toMatchObject({ status: 200, body: Buffer.from(String(size)) });
      expect(Buffer.compare(rig.handler.bodies.at(-1) ?? Buffer.alloc(1), bytes)).toBe(0);
      const chunked = await rig.client();
      chunked.send(postHead('/', { 'content-encoding': coding.toUpperCase(), 'transfer-encoding': 'chunked' }));
      for (let at = 0; at < encoded.length; at += 100 * KiB) {
        const part = encoded.subarray(at, at + 100 * KiB);
        chunked.send(`${part.length.toString(16)}\r\n`, part, '\r\n');
      }
      chunked.send('0\r\n\r\n');
      expect(await chunked.reply()).toMatchObject({ status: 200 });
      expect(Buffer.compare(rig.handler.bodies.at(-1) ?? Buffer.alloc(1), bytes)).toBe(0);
    }
  });

  it('in several frames of zstd, or members of gzip, is taken to its end', async () => {
    await rig.listen();
    for (const [coding, encode] of [['zstd', zstdCompressSync] as const, ['gzip', gzipSync] as const]) {
      for (const size of [0, 3, 10 * KiB, 700 * KiB]) {
        const parts = [noise(size), noise(5), noise(0), noise(size)];
        const body = Buffer.concat(parts.map((part) => encode(part)));
        expect(await rig.post(body, { 'content-encoding': coding })).toMatchObject({ status: 200 });
        expect(Buffer.compare(rig.handler.bodies.at(-1) ?? Buffer.alloc(1), Buffer.concat(parts))).toBe(0);
      }
    }
  });

  it('of a flood of empty frames is over soon', async () => {
    await rig.listen();
    const flood = Buffer.concat(Array(400_000).fill(zstdCompressSync('')));
    const { status } = await rig.post(flood, { 'content-encoding': 'zstd' });
    // Newer versions of Node take all frames in one go, which is as well.
    expect([200, 400]).toContain(status);
  });

  it('of frames together over the limit is answered 413', async () => {
    await rig.listen({ bodyBytesMax: 1000 });
    const send = (...sizes: number[]) =>
      rig.post(Buffer.concat(sizes.map((size) => zstdCompressSync('x'.repeat(size)))), { 'content-encoding': 'zstd' });
    expect(await send(500, 500, 0)).toMatchObject({ status: 200 });
    expect(await send(500, 500, 1)).toMatchObject({ status: 413 });
  });

  it('is handed on without a copy when it came in one piece', async () => {
    await rig.listen();
    await rig.post('abc');
    // A copy of so few bytes would come from the pool that small buffers share.
    expect(rig.handler.bodies[0]?.buffer.byteLength).not.toBe(Buffer.poolSize);
  });

  it.each(['gzip', 'deflate', 'zstd'] as const)('of %s holds no more memory than it has bytes', async (coding) => {
    await rig.listen();
    const encode = { gzip: gzipSync, deflate: deflateSync, zstd: zstdCompressSync }[coding];
    for (const size of [1, 100, 20 * KiB]) await rig.post(encode(noise(size)), { 'content-encoding': coding });
    for (const { buffer, length } of rig.handler.bodies) expect(buffer.byteLength).toBeLessThanOrEqual(2 * length);
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
    ['zstd', Buffer.concat([zstdCompressSync('abc'), zstdCompressSync('def').subarray(0, 8)])],
    ['zstd', Buffer.concat([zstdCompressSync(noise(200 * KiB)), Buffer.from('more')])],
    ['deflate', Buffer.concat([deflateSync('abc'), deflateSync('def')])],
    ['deflate', Buffer.concat([deflateSync(noise(200 * KiB)), Buffer.from('more')])],
  ])('that is not %s after all is answered 400 (%#)', async (coding, body) => {
    await rig.listen();
    expect(await rig.post(body, { 'content-encoding': coding })).toMatchObject({ status: 400 });
    expect(rig.handler.bodies).toEqual([]);
  });

  it.each(['br', 'gzip, gzip', 'compress', 'x'])(
    'in the coding %s is answered 415, with those that are known',
    async (coding) => {
      await rig.listen();
      const reply = await rig.post('abc', { 'content-encoding': coding });
      expect(reply.status).toBe(415);
      expect(reply.headers.get('accept-encoding')).toContain('zstd');
    },
  );
});

describe('a body over the limit', () => {
  beforeEach(() => rig.listen({ bodyBytesMax: 1000 }));

  it('is refused by its announced length, before it comes', async () => {
    const slow = await rig.client();
    slow.send(postHead('/', { 'content-length': 1001 }));
    const reply = await slow.reply();
    expect(reply.status).toBe(413);
    expect(reply.headers.get('connection')).toBe('close');
  });

  it('is refused in the middle when it comes in chunks; a client that goes on sending gets the answer', async () => {
    const eager = await rig.client();
    eager.send(postHead('/', { 'transfer-encoding': 'chunked' }));
    for (let i = 0; i < 8; i++) eager.send(`200\r\n${'x'.repeat(512)}\r\n`);
    eager.send('0\r\n\r\n');
    expect(await eager.reply()).toMatchObject({ status: 413 });
    await eager.closed;
    expect(eager.failure).toBeUndefined();
  });

  it('does not reset the connection of a client that sends all of it before it reads', async () => {
    const deaf = await rig.client();
    deaf.socket.pause();
    deaf.send(postHead('/', { 'content-length': 4000 }), noise(2000));
    await turn();
    expect(await rig.post('x')).toMatchObject({ status: 200 });
    deaf.send(noise(2000)).socket.resume();
    expect(await deaf.reply()).toMatchObject({ status: 413 });
    await deaf.closed;
    expect(deaf.failure).toBeUndefined();
  });

  it('is cut off when the client sends on and on', async () => {
    const endless = await rig.client();
    endless.send(postHead('/', { 'transfer-encoding': 'chunked' }));
    while (!endless.isClosed) {
      endless.send(`400\r\n${'x'.repeat(1024)}\r\n`);
      await turn();
    }
    expect(endless.received).toMatch(/^HTTP\/1.1 413 /);
  });

  it('is waited for no longer than two seconds once it is refused', async () => {
    const silent = await rig.client();
    silent.send(postHead('/', { 'content-length': 5000 }), 'a beginning');
    expect(await silent.reply()).toMatchObject({ status: 413 });
    expect(silent.isClosed).toBe(false);
    await rig.world.sim.advance(2_000);
    await silent.closed;
  });

  it('exactly at the limit is taken, by length, in chunks and compressed', async () => {
    expect(await rig.post('x'.repeat(1000))).toMatchObject({ status: 200 });
    expect(await rig.post(gzipSync('x'.repeat(1000)), { 'content-encoding': 'gzip' })).toMatchObject({ status: 200 });
    expect(await rig.post(gzipSync('x'.repeat(1001)), { 'content-encoding': 'gzip' })).toMatchObject({ status: 413 });
  });
});

describe('a bomb', () => {
  it.each([
    ['gzip', gzipSync],
    ['deflate', deflateSync],
    ['zstd', zstdCompressSync],
  ] as const)('of %s costs the limit and no more', async (coding, encode) => {
    await rig.listen({ bodyBytesMax: KiB * KiB, inFlightBytesMax: 4 * KiB * KiB });
    const bomb = encode(Buffer.alloc(128 * KiB * KiB));
    let highest = 0;
    const watch = setInterval(() => {
      highest = Math.max(highest, process.memoryUsage.rss());
    }, 1);
    try {
      await rig.post('warm');
      const before = process.memoryUsage.rss();
      for (let i = 0; i < 4; i++) {
        expect(await rig.post(bomb, { 'content-encoding': coding })).toMatchObject({ status: 413 });
      }
      expect(Math.max(0, highest - before)).toBeLessThan(64 * KiB * KiB);
    } finally {
      clearInterval(watch);
    }
    expect(rig.listener.bytesInFlight).toBe(0);
  });
});

describe('bytes in flight', () => {
  it('are counted over all requests, and what does not fit is answered 429 while others are served', async () => {
    await rig.listen({ inFlightBytesMax: 3000 });
    const { release } = rig.hold();
    const first = rig.post('x'.repeat(2000));
    await until(() => rig.handler.bodies.length === 1);
    expect(rig.listener.bytesInFlight).toBe(2000);
    const refused = await rig.post('x'.repeat(2000));
    expect(refused.status).toBe(429);
    expect(refused.headers.get('retry-after')).toBe('1');
    const packed = await rig.post(gzipSync('x'.repeat(2000)), { 'content-encoding': 'gzip' });
    expect(packed.status).toBe(429);
    const small = rig.post('y');
    await until(() => rig.handler.bodies.length === 2);
    release();
    expect((await first).status).toBe(200);
    expect((await small).status).toBe(200);
    expect(await rig.post('x'.repeat(2000))).toMatchObject({ status: 200 });
  });

  it('are given back when clients vanish, at whatever point', async () => {
    await rig.listen();
    const { release } = rig.hold();
    const half = await rig.client();
    half.send(postHead('/', { 'content-length': 1000 }), 'x'.repeat(500));
    await until(() => rig.listener.bytesInFlight === 500);
    half.destroy();
    await until(() => rig.listener.bytesInFlight === 0);
    const waiting = await rig.client();
    waiting.send(postHead('/', { 'content-length': 3 }), 'abc');
    await until(() => rig.handler.gone.length === 1);
    expect(rig.handler.gone[0]?.aborted).toBe(false);
    waiting.destroy();
    await until(() => rig.handler.gone[0]?.aborted === true);
    release();
  });
});

function flipped(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ 0xff;
  return copy;
}

/** The head of a frame that wants a window of 2^log bytes, and an empty block. */
function zstdWithWindow(log: number): Buffer {
  return Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, (log - 10) << 3, 0x01, 0x00, 0x00]);
}
