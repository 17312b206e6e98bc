// What the user of a buffer does: each action asks something, waits for nothing, and tells the model when the answer
// comes.
import { StorageError } from '../../base/errors.ts';
import type { ReadOptions } from '../../engine/ordered-finalizer-cursor.ts';
import type { Delivery, RecordResult } from '../../engine/ordered-finalizer-delivery.ts';
import type { AppendResult } from '../../engine/writer.ts';
import type { RecordInput } from '../../engine/writer-records.ts';
import { check, type ModelOffer, payloadOf } from '../buffer-model-parts.ts';
import type { BufferWorld } from './buffer-world.ts';
import type { Hand, Life } from './life.ts';

const readsMax = 2;
const handsMax = 40;
const pendingMax = 200;

/** A record that nobody has appended yet. */
function draw({ random, swarm, model, lastSerial }: BufferWorld, life: Life, large: boolean): ModelOffer {
  const serial = lastSerial + 1;
  const usual = random.chance(0.1) ? 0 : random.int(swarm.largestPayload);
  const payloadBytes = large ? random.between(1_000, 130_000) : usual;
  const events = random.chance(0.9)
    ? 1
    : random.chance(0.9)
      ? random.between(2, 50)
      : random.between(1, swarm.largestEvents);
  const offer = { serial, events, payloadBytes };
  model.offer(offer, life.epoch);
  return offer;
}

function toInput({ serial, events, payloadBytes }: ModelOffer): RecordInput {
  return { payload: payloadOf(serial, payloadBytes), events, metadata: serial };
}

export function tryAppend(world: BufferWorld, life: Life): void {
  const count = world.random.pick([1, 1, 3, 20]);
  for (let done = 0; done < count; done++) {
    const offer = draw(world, life, false);
    world.lastSerial += 1;
    const { payload, ...options } = toInput(offer);
    const { state } = life.buffer.stats();
    const mayThrow = life.state !== 'open' || state === 'failed';
    let result: string;
    try {
      result = life.buffer.tryAppend(payload, options);
    } catch (cause) {
      world.model.withdraw(offer.serial);
      check(mayThrow, `tryAppend threw in state ${state}: ${String(cause)}`);
      life.expectEnd('tryAppend', cause);
      return;
    }
    check(!mayThrow, `tryAppend answered ${result} in state ${state}`);
    if (result !== 'accepted') {
      world.model.withdraw(offer.serial);
      const mayBeFull = world.options?.whenFull !== 'drop_oldest';
      check(result === 'wait' || (result === 'full' && mayBeFull), `tryAppend answered ${result}`);
      return;
    }
    world.model.admit(offer.serial, life.buffer.stats().frontiers.reserved - offer.events);
  }
}

export function append(world: BufferWorld, life: Life): void {
  appendOne(world, life, false);
}

export function appendLarge(world: BufferWorld, life: Life): void {
  appendOne(world, life, true);
}

function appendOne(world: BufferWorld, life: Life, large: boolean): void {
  if (life.pending.size > pendingMax) return;
  const offer = draw(world, life, large);
  world.lastSerial += 1;
  const { payload, ...options } = toInput(offer);
  const signal = drawSignal(world, life);
  answer(world, life, [offer], life.buffer.append(payload, signal === undefined ? options : { ...options, signal }));
}

export function appendBatch(world: BufferWorld, life: Life): void {
  if (life.pending.size > pendingMax) return;
  const offers: ModelOffer[] = [];
  for (let count = world.random.pick([1, 3, 30]); count > 0; count--) {
    offers.push(draw(world, life, false));
    world.lastSerial += 1;
  }
  const signal = drawSignal(world, life);
  const stored = life.buffer.appendBatch(offers.map(toInput), signal === undefined ? {} : { signal });
  answer(world, life, offers, stored);
}

function answer(world: BufferWorld, life: Life, offers: readonly ModelOffer[], result: Promise<AppendResult>): void {
  const events = offers.reduce((sum, offer) => sum + offer.events, 0);
  const policy = world.options?.whenFull;
  const stored = (recordId: number): void => {
    let id = recordId;
    for (const offer of offers) {
      world.model.admit(offer.serial, id);
      id += offer.events;
    }
    const { frontiers } = life.buffer.stats();
    const durability = world.options?.durability;
    const kept = { memory: frontiers.reserved, os: frontiers.written, interval: frontiers.written };
    const keptId = durability === undefined || durability === 'sync' ? frontiers.durable : kept[durability];
    check(keptId >= id, `append of ids ${recordId} to ${id} resolved in ${durability} with the frontier at ${keptId}`);
  };
  life.ask(
    `append of ${offers.map(({ serial }) => serial).join()}`,
    result,
    (outcome) => {
      if (outcome.status === 'stored') return stored(outcome.recordId);
      for (const { serial } of offers) world.model.withdraw(serial);
      check(policy === 'drop_newest', `append was dropped under the policy ${policy}`);
      life.refused[outcome.reason === 'disk_full' ? 'disk_full' : 'dropped_newest'] += events;
    },
    (cause) => {
      if (cause === abortReason) return; // It may be in the log all the same.
      const isFull = cause instanceof StorageError && cause.kind === 'full' && cause.operation === 'append';
      const isLarge = cause instanceof Error && 'code' in cause && cause.code === 'SPILLWAY_USAGE_TOO_LARGE';
      if (isFull || isLarge) for (const { serial } of offers) world.model.withdraw(serial);
      if (isLarge) return;
      if (isFull) check(policy === 'reject', `append was rejected under the policy ${policy}`);
      else life.expectEnd('append', cause);
    },
  );
}

const abortReason = new Error('aborted');

function drawSignal({ random }: BufferWorld, life: Life): AbortSignal | undefined {
  if (!random.chance(0.1)) return undefined;
  const controller = new AbortController();
  life.aborts.push(controller);
  if (life.aborts.length > 20) life.aborts.shift();
  return controller.signal;
}

export function abort({ random }: BufferWorld, life: Life): void {
  const at = life.aborts.length === 0 ? 0 : random.int(life.aborts.length);
  life.aborts.splice(at, 1)[0]?.abort(abortReason);
}

function expectAbortOrEnd(life: Life, what: string, cause: unknown): void {
  if (cause !== abortReason) life.expectEnd(what, cause);
}

export function ready(world: BufferWorld, life: Life): void {
  if (life.pending.size > pendingMax) return;
  const signal = drawSignal(world, life);
  life.ask(
    'ready',
    life.buffer.ready(signal),
    () => undefined,
    (cause) => expectAbortOrEnd(life, 'ready', cause),
  );
}

export function commit(_world: BufferWorld, life: Life): void {
  if (life.pending.size > pendingMax) return;
  const { reserved } = life.buffer.stats().frontiers;
  life.ask(
    'commit',
    life.buffer.commit(),
    () => {
      const { durable } = life.buffer.stats().frontiers;
      check(durable >= reserved, `commit of everything below ${reserved} resolved with ${durable} durable`);
    },
    (cause) => life.expectEnd('commit', cause),
  );
}

export function read(world: BufferWorld, life: Life): void {
  const { random } = world;
  const name = random.pick([...life.cursors.keys()]);
  const reading = life.reading.get(name) ?? 0;
  if (reading >= readsMax || life.hands.length > handsMax) return;
  life.reading.set(name, reading + 1);
  const limits: ReadOptions = random.pick([
    {},
    { maxRecords: 1 },
    { maxRecords: 20 },
    { maxBytes: 0 },
    { maxBytes: 5_000 },
  ]);
  const signal = drawSignal(world, life);
  const cursor = life.cursors.get(name);
  if (cursor === undefined) return;
  const done = (): void => void life.reading.set(name, (life.reading.get(name) ?? 1) - 1);
  life.ask(
    `read of ${name}`,
    cursor.read(signal === undefined ? limits : { ...limits, signal }),
    (delivery) => {
      done();
      if (delivery !== undefined) return took(world, life, name, delivery, limits);
      check(life.state !== 'open' || life.cursors.get(name) !== cursor, `read of ${name} ended in an open buffer`);
    },
    (cause) => {
      done();
      if (cause === abortReason || life.cursors.get(name) !== cursor) return;
      if (cause instanceof StorageError && world.mayFailReads) return;
      life.expectEnd('read', cause);
    },
  );
}

function took(world: BufferWorld, life: Life, name: string, delivery: Delivery, limits: ReadOptions): void {
  const { model } = world;
  const cursor = model.cursors.get(name);
  if (cursor === undefined) return; // Removed while the read was under way.
  check(delivery.records.length > 0, 'a delivery has at least one record');
  check(delivery.records.length <= (limits.maxRecords ?? 1_000), 'a delivery has at most maxRecords records');
  if (life.hasPublished) world.settledCursors.add(name);
  let bytes = 0;
  const open = new Set<number>();
  for (const { id, metadata, events, payload, key } of delivery.records) {
    bytes += payload.length;
    open.add(id);
    const record = model.handedOut(cursor, { id, serial: metadata, events, payload }, world.world.timeMs);
    model.named(key, record, life.uuid);
  }
  const isRetry = delivery.records.length > 1 && bytes > (limits.maxBytes ?? 1_048_576);
  check(!isRetry || world.wasRetried, `a delivery has ${bytes} bytes, asked for were at most ${limits.maxBytes}`);
  life.hands.push({ cursor: name, delivery, open });
}

/** Settles a whole delivery, or what is left of it. */
export function settle(world: BufferWorld, life: Life): void {
  const hand = takeHand(world, life);
  if (hand === undefined) return;
  const counts = isHeard(life, hand);
  const kind = world.random.pick(['ack', 'ack', 'ack', 'ack', 'retry', 'reject'] as const);
  const afterMs = world.random.pick([0, 1, 50]);
  if (kind === 'ack') hand.delivery.ack();
  if (kind === 'retry') hand.delivery.retry(afterMs);
  if (kind === 'reject') hand.delivery.reject('not wanted');
  const result = kind === 'ack' ? kind : kind === 'retry' ? { retry: afterMs } : { reject: 'not wanted' };
  if (counts) for (const id of hand.open) tell(world, hand, id, result);
}

/** Acknowledges a whole delivery, or what is left of it. */
export function acknowledge(world: BufferWorld, life: Life, hand: Hand): void {
  const counts = isHeard(life, hand);
  hand.delivery.ack();
  if (counts) for (const id of hand.open) tell(world, hand, id, 'ack');
}

/** Settles some records of a delivery, in some ways. */
export function settlePartly(world: BufferWorld, life: Life): void {
  const { random } = world;
  if (life.hands.length === 0) return;
  const hand = random.pick(life.hands);
  const results = hand.delivery.records.map(({ id }): RecordResult | undefined => {
    if (!hand.open.has(id) || random.chance(0.4)) return undefined;
    return random.pick<RecordResult>(['ack', 'ack', 'ack', { retry: 0 }, { retry: 30 }, { reject: 'bad' }]);
  });
  const counts = isHeard(life, hand);
  hand.delivery.settle(results);
  for (const [at, { id }] of hand.delivery.records.entries()) {
    const result = results[at];
    if (result === undefined) continue;
    if (counts) tell(world, hand, id, result);
    hand.open.delete(id);
  }
  if (hand.open.size === 0) life.hands.splice(life.hands.indexOf(hand), 1);
}

function takeHand({ random }: BufferWorld, life: Life): Hand | undefined {
  if (life.hands.length === 0) return undefined;
  return life.hands.splice(random.int(life.hands.length), 1)[0];
}

/** Whether a settlement still counts: a buffer that closes stops waiting for deliveries at some time. */
function isHeard(life: Life, hand: Hand): boolean {
  return life.state === 'open' || (life.cursors.get(hand.cursor)?.openDeliveries ?? 0) > 0;
}

function tell(world: BufferWorld, hand: Hand, id: number, result: RecordResult): void {
  const cursor = world.model.cursors.get(hand.cursor);
  if (cursor === undefined) return;
  if (result === 'ack') world.model.settle(cursor, id, 'acknowledged');
  else if ('reject' in result) world.model.settle(cursor, id, 'rejected');
  else {
    world.wasRetried = true;
    world.model.retry(cursor, id, world.world.timeMs + result.retry);
  }
}

export function addCursor(world: BufferWorld, life: Life): void {
  const { random, model } = world;
  const name = random.pick(['second', 'third', 'fourth']);
  if (life.cursors.has(name) || life.state !== 'open') return;
  const cursor = life.buffer.cursor(name, { from: random.pick(['oldest', 'newest']) });
  life.cursors.set(name, cursor);
  world.removed.delete(name);
  life.forgetFloor(name);
  model.addCursor(name, cursor.nextId);
}

export function removeCursor(world: BufferWorld, life: Life): void {
  const { random, model } = world;
  const name = random.pick(['second', 'third', 'fourth']);
  const isRequired = world.options?.cursors?.includes(name) ?? false;
  if (!life.cursors.has(name) || isRequired || life.state !== 'open') return;
  life.cursors.delete(name);
  life.forgetFloor(name);
  world.removed.add(name);
  world.settledCursors.delete(name);
  model.removeCursor(name);
  for (const hand of life.hands.filter((one) => one.cursor === name)) life.hands.splice(life.hands.indexOf(hand), 1);
  life.ask(
    `removal of ${name}`,
    life.buffer.removeCursor(name),
    () => undefined,
    (cause) => life.expectEnd('removeCursor', cause),
  );
}

export function close(world: BufferWorld, life: Life, drain: boolean): void {
  if (life.state !== 'open') return;
  life.state = 'closing';
  life.ask(
    'close',
    life.buffer.close(drain ? { drain } : {}),
    () => world.closed(life),
    (cause) => {
      world.closed(life);
      check(cause instanceof StorageError, `close was refused with ${String(cause)}`);
    },
  );
}
