// A peer that is no Redis, or a broken one: an answer with a reason, in time, and nobody crashes.
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { sampleBatch } from 'spillway/testing';
import { afterEach, expect, it } from 'vitest';
import { SinkBench } from '../test/sink-bench.ts';

const bench = new SinkBench();
const sockets = new Set<Socket>();
let server: Server | undefined;

afterEach(async () => {
  await bench.close();
  for (const socket of sockets) socket.destroy();
  server?.close();
});

/** Says this to whoever says something. */
async function speaker(bytes: Buffer | string): Promise<number> {
  server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    socket.once('data', () => socket.write(bytes));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as { port: number }).port;
}

it.each<readonly [string, Buffer | string]>([
  ['another protocol', 'HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n'],
  ['bytes that mean nothing', Buffer.from([0xff, 0x00, 0x80, 0x0d, 0x0a, 0xfe])],
  ['a type that does not exist', '@1\r\n'],
  ['half an answer', '+O'],
  ['a list that does not end', '*1000000\r\n+OK\r\n'],
  ['a text that does not end', '$1000\r\nabc'],
  ['a length that is none', '$x\r\n\r\n'],
  ['a length below zero', '*-5\r\n'],
  ['lists in lists', '*1\r\n'.repeat(20_000)],
  ['more answers than questions', '+OK\r\n'.repeat(100)],
  ['answers of another shape', ':1\r\n:1\r\n:1\r\n:1\r\n:1\r\n'],
])('%s is no delivery', async (_, bytes) => {
  const port = await speaker(bytes);
  const url = `redis://127.0.0.1:${port}`;
  const withPassword = { url: `redis://:secret-word@127.0.0.1:${port}`, key: 'events' };
  const kinds = [{ cluster: true }, { ids: 'auto' }, { data_type: 'list', wait_replicas: 1 }];
  for (const options of [withPassword, ...[{}, ...kinds].map((kind) => ({ url, key: 'events', ...kind }))]) {
    const { deliver } = bench.make({ options, timeoutMs: 100 });
    const outcome = await deliver(sampleBatch('logs', 1, [2])).catch((error: unknown) => error);
    expect(JSON.stringify(outcome)).not.toContain('secret-word');
    expect([options, outcome]).toMatchObject([{}, { kind: 'retryable', reason: expect.stringMatching(/.../) }]);
  }
});
