// Times and room: signs of life in virtual time, and a socket that takes nothing.
import { type SimulatedWorld, simulatedWorld } from 'spillway/testing';
import { beforeEach, describe, expect, it } from 'vitest';
import { methodBytes, shortString } from '../../test/amqp-bytes.ts';
import { FakeSocket } from '../../test/fake-socket.ts';
import { Publisher } from '../publisher.ts';
import { AmqpConnection } from './connection.ts';
import { heartbeatFrame } from './frame.ts';
import type { Publication } from './method.ts';

let world: SimulatedWorld;
let socket: FakeSocket;
let publisher: Publisher;
let connection: AmqpConnection;

beforeEach(() => {
  world = simulatedWorld();
  socket = new FakeSocket();
  publisher = new Publisher();
  connection = new AmqpConnection(socket.asSocket, { clock: world.clock, events: publisher, redact: (text) => text });
});

/** What was pushed is read in a later turn. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function messages(count: number, bodyBytes: number): Publication[] {
  const body = Buffer.alloc(bodyBytes, 120);
  return Array.from({ length: count }, (_, index) => ({
    exchange: '',
    routingKey: 'q',
    properties: { contentType: 'text/plain', type: 'logs', messageId: `key-${index}` },
    body,
  }));
}

describe('a heartbeat', () => {
  it('is sent where nothing else is, and a server without one is given up after two intervals', async () => {
    connection.agree(4096, 10_000);
    await world.sim.advance(19_900);
    expect(socket.written).toEqual([heartbeatFrame, heartbeatFrame, heartbeatFrame]);
    expect(connection.ended).toBeUndefined();
    await world.sim.advance(200);
    expect(connection.ended?.message).toBe('no sign of life for 20 s');
    expect(socket.destroyed).toBe(true);
  });

  it('of the server keeps the connection for as long as it comes', async () => {
    connection.agree(4096, 10_000);
    for (let round = 0; round < 10; round += 1) {
      socket.say(heartbeatFrame);
      await turn();
      await world.sim.advance(15_000);
    }
    expect(connection.ended).toBeUndefined();
  });

  it('is not needed where messages go out, and none waits behind what is stuck', async () => {
    connection.agree(4096, 10_000);
    for (let round = 0; round < 4; round += 1) {
      connection.send([Buffer.from('x')]);
      socket.say(heartbeatFrame);
      await turn();
      await world.sim.advance(4_900);
    }
    expect(socket.written.every((bytes) => bytes.equals(Buffer.from('x')))).toBe(true);
    socket.isStuck = true;
    connection.send([Buffer.from('y'), Buffer.from('z')]);
    await world.sim.advance(14_000);
    expect(socket.writableLength).toBe(2);
  });
});

describe('a batch for a server that does not read', () => {
  it('waits here, not in the socket, and goes on when there is room', async () => {
    socket.isStuck = true;
    const stop = new AbortController();
    const publishing = publisher.publish(connection, messages(4_000, 1_000), stop.signal);
    await turn();
    expect(socket.writableLength).toBeGreaterThan(200 * 1024);
    expect(socket.writableLength).toBeLessThan(512 * 1024);
    socket.unstick();
    await expect.poll(() => socket.writtenBytes).toBeGreaterThan(4_000_000);
    socket.say(methodBytes(1, 60, 80, Buffer.alloc(8), Buffer.from([1]))); // 0 and multiple: all of them.
    expect(await publishing).toEqual({ kind: 'confirmed' });
  });

  it('is left alone when it is given up, and only what is missing is sent later', async () => {
    socket.isStuck = true;
    const stop = new AbortController();
    const batch = messages(4_000, 1_000);
    const publishing = publisher.publish(connection, batch, stop.signal);
    await turn();
    stop.abort();
    expect(await publishing).toEqual({ kind: 'unfinished' });
    socket.unstick();
    await turn();
    const before = socket.writtenBytes;
    expect(before).toBeLessThan(512 * 1024);
    const again = publisher.publish(connection, batch, new AbortController().signal);
    await expect.poll(() => socket.writtenBytes).toBeGreaterThan(4_000_000);
    expect(socket.writtenBytes).toBeLessThan(4_600_000);
    connection.end(new Error('enough'));
    await expect(again).rejects.toThrow('enough');
  });
});

it('a server that blocks publishers gets nothing, before a batch and within one', async () => {
  const { signal } = new AbortController();
  const batch = messages(4_000, 1_000);
  socket.say(methodBytes(0, 10, 60, shortString('low on memory')));
  await turn();
  expect(await publisher.publish(connection, batch, signal)).toEqual({ kind: 'unfinished' });
  expect(socket.writtenBytes).toBe(0);
  socket.say(methodBytes(0, 10, 61));
  await turn();
  socket.isStuck = true;
  const publishing = publisher.publish(connection, batch, signal);
  await turn();
  socket.say(methodBytes(0, 10, 60, shortString('low on memory')));
  expect(await publishing).toEqual({ kind: 'unfinished' });
  socket.unstick();
  await turn();
  expect(socket.writtenBytes).toBeLessThan(512 * 1024);
});

it('a goodbye that nobody answers takes half a second', async () => {
  const closing = connection.close();
  await world.sim.advance(499);
  expect(socket.destroyed).toBe(false);
  await world.sim.advance(2);
  await closing;
  expect(socket.destroyed).toBe(true);
  await connection.close();
});
