// One connection for one life, and what it costs to look for a server that is away. The faults of a connection in use
// are in redis-sink.test.ts.
import { Deadline } from 'spillway/plugin';
import { realWorld } from 'spillway/testing';
import { expect, it, vi } from 'vitest';
import { RedisDouble } from '../test/redis-double.ts';
import { RedisConnection } from './connection.ts';
import type { Server } from './server.ts';

const world = realWorld();
const deadline = (timeoutMs = 5_000): Deadline =>
  new Deadline({ clock: world.clock, timeoutMs, signal: new AbortController().signal });
const at = (host: string, port: number): Server => ({
  address: { host, port },
  tls: undefined,
  database: 0,
  username: undefined,
  password: undefined,
});

it('is cheap to try, wherever it leads: an outage is many tries', async () => {
  const before = process.cpuUsage();
  for (let tries = 0; tries < 100; tries += 1) {
    const failed = RedisConnection.open(at(`127.0.0.${1 + tries}`, 1), world, deadline(5_000 + tries));
    await expect(failed).rejects.toThrow(/nothing listens there/);
  }
  const { user } = process.cpuUsage(before);
  expect(user / 1e6, 'seconds of processor time').toBeLessThan(1.5);
});

it('sends in one go, and gives an answer to each', async () => {
  const server = await RedisDouble.start();
  const connection = await RedisConnection.open(at('127.0.0.1', server.port), world, deadline());
  const replies = await connection.send([['PING'], ['NO'], ['HMGET', 'none', 'a']], deadline());
  expect(replies).toMatchObject(['PONG', { message: expect.stringContaining('unknown command') }, [null]]);
  expect(connection.peer).toBe(`127.0.0.1:${server.port}`);
  connection.close();
  expect(connection.isOpen).toBe(false);
  await expect(connection.send([['PING']], deadline())).rejects.toThrow('the connection is closed');
  await expect.poll(() => server.openConnections).toBe(0);
  await server.stop();
});

it('leaves time to the deadline of the batch: the client has no limit and no timer for each command', async () => {
  const timers = vi.spyOn(AbortSignal, 'timeout');
  const server = await RedisDouble.start();
  const connection = await RedisConnection.open(at('127.0.0.1', server.port), world, deadline());
  await connection.send([['PING'], ['PING']], deadline());
  expect(timers).not.toHaveBeenCalled();
  connection.close();
  await server.stop();
  timers.mockRestore();
});

it('selects the database of the url', async () => {
  const server = await RedisDouble.start();
  server.fault = ([name]) => (name === 'SELECT' ? { error: 'ERR DB index is out of range' } : undefined);
  const opened = RedisConnection.open({ ...at('127.0.0.1', server.port), database: 99 }, world, deadline());
  await expect(opened).rejects.toThrow('DB index is out of range');
  expect(server.commands).toEqual([['SELECT', '99']]);
  await expect.poll(() => server.openConnections).toBe(0);
  await server.stop();
});
