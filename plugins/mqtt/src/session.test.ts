import type { SinkBatch } from 'spillway/plugin';
import { sampleBatch, sampleBatchOf, sampleOriginUuid, sampleRecord } from 'spillway/testing';
import { expect, it } from 'vitest';
import { type EventKey, Session } from './session.ts';

const origin = `${sampleOriginUuid}/1`;
const event = (id: number): EventKey => ({ origin, id });
const batch = (firstId: number, events: number): SinkBatch => sampleBatch('logs', firstId, [events]);

it('gives packet ids in turn, from 1 to 65535, and never one that is in use', () => {
  const session = new Session();
  session.begin(batch(1, 70_000));
  const given = Array.from({ length: 65_535 }, (_, at) => session.send(event(at + 1)).packetId);
  expect(given.every((packetId, at) => packetId === at + 1)).toBe(true);
  expect(session.unacknowledged).toBe(65_535);
  expect(() => session.send(event(65_536))).toThrow('all 65535 packet ids are in use');
  session.settle(event(40_000), true);
  session.settle(event(7), true);
  expect(session.send(event(65_536))).toEqual({ packetId: 7, isRepeat: false });
  expect(session.send(event(65_537))).toEqual({ packetId: 40_000, isRepeat: false });
});

it('knows what the server has, until the batch is delivered', () => {
  const session = new Session();
  const whole = batch(1, 3);
  session.begin(whole);
  for (const id of [1, 2, 3]) session.send(event(id));
  session.settle(event(1), true);
  session.settle(event(2), false);
  session.begin(whole);
  expect([1, 2, 3].map((id) => session.isTaken(event(id)))).toEqual([true, false, false]);
  expect(session.isTakenWhole(sampleRecord('logs', 1, 1))).toBe(true);
  expect(session.isTakenWhole(sampleRecord('logs', 1, 2))).toBe(false);
  session.end(whole);
  expect(session.isTaken(event(1))).toBe(false);
  expect(session.unacknowledged).toBe(0);
});

it('keeps what it knows of the second half while the first comes again', () => {
  const session = new Session();
  session.begin(batch(1, 4));
  for (const id of [1, 2, 3, 4]) session.send(event(id));
  session.settle(event(3), true);
  session.begin(batch(1, 2));
  session.end(batch(1, 2));
  session.begin(batch(3, 2));
  expect(session.isTaken(event(3))).toBe(true);
  expect(session.send(event(4))).toEqual({ packetId: 4, isRepeat: true });
});

it('forgets what will not come again: what lies before a batch, and what another life of the buffer gave', () => {
  const session = new Session();
  session.begin(batch(1, 4));
  for (const id of [1, 2, 3, 4]) session.send(event(id));
  session.settle(event(1), true);
  session.begin(batch(3, 2));
  expect(session.isTaken(event(1))).toBe(false);
  expect(session.unacknowledged).toBe(2);
  session.begin(sampleBatchOf('logs', [{ ...sampleRecord('logs', 3, 1), origin: `${sampleOriginUuid}/2` }]));
  expect(session.unacknowledged).toBe(0);
  expect(session.isTaken({ origin: `${sampleOriginUuid}/2`, id: 3 })).toBe(false);
});

it('sends under the old packet id, marked as a repeat, where the session goes on, else under a new one', () => {
  const session = new Session();
  session.begin(batch(1, 3));
  for (const id of [1, 2, 3]) session.send(event(id));
  session.settle(event(1), true);
  expect(session.send(event(2))).toEqual({ packetId: 2, isRepeat: true });
  session.reset();
  expect(session.isTaken(event(1))).toBe(true);
  expect(session.unacknowledged).toBe(0);
  expect(session.send(event(2))).toEqual({ packetId: 4, isRepeat: false });
});
