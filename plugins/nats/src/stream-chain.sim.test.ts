// Long mixed lives of a stream, drawn from a seed: connections that break anywhere, messages that are lost, held back
// or refused, servers that forget ids or note them too early, new processes, and in the end somebody else who writes.
// Whatever happens, the stream holds the events of the buffer from the first on, in order, each once, without a hole.
import { sampleBatch, sampleOriginUuid } from 'spillway/testing';
import { describe, expect, it } from 'vitest';
import type { Command, Fault } from '../test/nats-double.ts';
import { deliver, isEvent, keysOf, SinkRig } from '../test/sink-rig.ts';
import { refusal } from '../test/stream-double.ts';

const batchesOfALife = 15;
const seeds = Array.from({ length: 8 }, (_, index) => index + 1);

/** Numbers from 0 up to 1, the same for the same seed. */
function drawing(seed: number): () => number {
  let state = seed * 2_654_435_761;
  return () => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b_3c6d) + 0x9e37_79b9) >>> 0;
    return (Math.imul(state ^ (state >>> 13), 0x297a_2d39) >>> 0) / 2 ** 32;
  };
}

const refusals = [
  refusal(503, 10_077, 'maximum bytes exceeded'),
  refusal(503, 10_008, 'JetStream system temporarily unavailable'),
  refusal(409, 10_158, 'duplicate message id is in process'),
  refusal(400, 10_071, 'wrong last sequence: 7'),
];

/** Now and then, and those that cost a time-out seldom. */
function faultFor(command: Command, draw: () => number): Fault | undefined {
  const luck = draw();
  if (luck < 0.03) return 'drop';
  if (luck < 0.06) return 'lose';
  if (!isEvent(command)) return undefined;
  if (luck < 0.065) return 'mute';
  if (luck < 0.07) return 'hold';
  if (luck < 0.1) return { say: refusals[Math.floor(draw() * refusals.length)] as (typeof refusals)[number] };
  return undefined;
}

/** Keys without the suffix that ids get where a server has noted them too early. */
function keysIn(rig: SinkRig): string[] {
  return rig.ids.filter((id) => id?.startsWith(sampleOriginUuid)).map((id) => (id as string).replace(/~\d+$/, ''));
}

async function live(rig: SinkRig, draw: () => number): Promise<number> {
  let sink = rig.sink({ timeoutMs: 80 });
  let next = 1;
  rig.server.fault = (command) => faultFor(command, draw);
  for (let batch = 0; batch < batchesOfALife; batch += 1) {
    const records = Array.from({ length: 1 + Math.floor(draw() * 3) }, () => 1 + Math.floor(draw() * 4));
    for (let tries = 0; ; tries += 1) {
      if (draw() < 0.1) rig.stream.restart();
      if (draw() < 0.1) rig.server.release();
      if (draw() < 0.1) sink = rig.sink({ timeoutMs: 80 });
      const { kind } = await deliver(sink, sampleBatch('logs', next, records));
      if (kind === 'delivered') break;
      expect(kind).toBe('retryable');
      expect(tries).toBeLessThan(100);
    }
    next += records.reduce((sum, events) => sum + events, 0);
    expect(keysIn(rig)).toEqual(keysOf(1, next - 1));
  }
  return next;
}

describe.each([
  ['a server alone', false],
  ['a cluster that notes ids early', true],
])('%s', (_, notesIdsEarly) => {
  it.each(seeds)('with seed %i', async (seed) => {
    await using rig = await SinkRig.start();
    rig.stream.limits = { notesIdsEarly };
    const draw = drawing(seed);
    const next = await live(rig, draw);
    rig.server.release();
    expect(keysIn(rig)).toEqual(keysOf(1, next - 1));

    // Somebody else writes in the middle of a batch: the sink ends, and nothing has slipped in behind.
    let left = Math.floor(draw() * 4);
    rig.server.fault = (command) => {
      if (isEvent(command) && left-- === 0) rig.server.publish('telemetry.alien');
      return undefined;
    };
    const owned = deliver(rig.sink(), sampleBatch('logs', next, [2, 4]));
    await expect(owned).rejects.toMatchObject({ code: 'SPILLWAY_CONFIG_OWNER' });
    const found = keysIn(rig);
    expect(found).toEqual(keysOf(1, found.length));
  });
});
