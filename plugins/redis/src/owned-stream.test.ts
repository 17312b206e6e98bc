// A stream that one cursor of one buffer owns: whatever happens, every event is in it once, in order, and nothing of
// anybody else is touched or taken for ours.
import type { SinkBatch } from 'spillway/plugin';
import { markersOf, sampleBatch, sampleBatchOf, sampleOriginUuid, sampleRecord } from 'spillway/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { BenchSink } from '../test/sink-bench.ts';
import { deliverAll, idsFrom, StreamRig } from '../test/stream-rig.ts';

const uuid = sampleOriginUuid;
let rig: StreamRig;
const deliveredAnswer = { kind: 'delivered' };

beforeEach(async () => {
  rig = await StreamRig.start();
});

afterEach(async () => {
  await rig.stop();
});

describe('what comes again', () => {
  it('is left out, also in part, and counted', async () => {
    const sink = rig.make();
    await sink.deliver(sampleBatch('logs', 1, [4]));
    expect(await sink.deliver(sampleBatch('logs', 2, [2, 4]))).toEqual(deliveredAnswer);
    expect(await sink.deliver(sampleBatch('logs', 1, [7]))).toEqual(deliveredAnswer);
    expect(rig.ids()).toEqual(idsFrom(1, 7));
    expect(sink.context.log.lines.map(({ fields }) => fields['events']).filter(Boolean)).toEqual([3, 7]);
  });

  it('is known to a new process, also where the stream was trimmed to nothing', async () => {
    await rig.make().deliver(sampleBatch('logs', 1, [4]));
    rig.server.run('XTRIM', 'events', 'MAXLEN', '0');
    await rig.make().deliver(sampleBatch('logs', 3, [4]));
    expect(rig.ids()).toEqual(idsFrom(5, 2));
  });

  it('is known by its epoch: ids of a later one are new', async () => {
    await rig.make().deliver(sampleBatch('logs', 5, [2]));
    const later = sampleBatchOf('logs', [{ ...sampleRecord('logs', 7, 1), origin: `${uuid}/2` }]);
    expect(await rig.make().deliver(later)).toEqual(deliveredAnswer);
    expect(rig.ids()).toEqual(['1-5', '1-6', '2-7']);
  });

  it('is written again where the stream was deleted: a repeat rather than a loss', async () => {
    await rig.make().deliver(sampleBatch('logs', 1, [4]));
    rig.server.run('DEL', 'events');
    await rig.make().deliver(sampleBatch('logs', 3, [4]));
    expect(rig.ids()).toEqual(idsFrom(3, 4));
    rig.server.run('DEL', 'events', '{events}:spillway');
    await rig.make().deliver(sampleBatch('logs', 5, [3]));
    expect(rig.ids()).toEqual(idsFrom(5, 3));
  });
});

describe('a fault', () => {
  const batches = [sampleBatch('logs', 1, [2]), sampleBatch('logs', 3, [3]), sampleBatch('logs', 6, [1])];

  /** Holds one EXEC back, until another one comes, if at all. The first on a connection is an inspection's. */
  function holdExec(at: number, releasedAt?: number): { readonly seen: number; readonly held: boolean } {
    const execs = { seen: 0, held: false };
    rig.server.fault = ([name]) => {
      if (name !== 'EXEC') return undefined;
      execs.seen += 1;
      if (execs.seen === releasedAt) rig.server.release();
      execs.held ||= execs.seen === at;
      return execs.seen === at ? 'hold' : undefined;
    };
    return execs;
  }

  /** Delivers, and is told to give up once it waits for what does not come. */
  async function giveUp(sink: BenchSink, batch: SinkBatch, isWaiting: () => boolean): Promise<void> {
    const stop = new AbortController();
    const answer = sink.sink.deliver(batch, { signal: stop.signal });
    await expect.poll(isWaiting).toBe(true);
    stop.abort();
    expect(await answer).toMatchObject({ kind: 'retryable' });
  }

  const commands = ['MULTI', 'XADD', 'HSET', 'EXEC', 'WATCH', 'HMGET', 'XINFO'];
  const cases = commands.flatMap((command) =>
    (['drop', 'lose'] as const).flatMap((fault) => [0, 1, 2].map((skipped) => ({ command, fault, skipped }))),
  );

  it.each(cases)('$fault at $command after $skipped of them loses and repeats nothing', async (at) => {
    let seen = 0;
    rig.server.fault = ([name]) => {
      if (name !== at.command) return undefined;
      seen += 1;
      return seen === at.skipped + 1 ? at.fault : undefined;
    };
    const kinds = await deliverAll(rig.make(), batches);
    expect(rig.ids()).toEqual(idsFrom(1, 6));
    expect(rig.markers()).toEqual(markersOf(1, 6));
    expect(new Set(kinds)).toEqual(seen > at.skipped ? new Set(['retryable', 'delivered']) : new Set(['delivered']));
  });

  it('that keeps an answer back ends with the connection, and what was sent is never executed', async () => {
    const sink = rig.make();
    const execs = holdExec(2);
    await giveUp(sink, batches[0] as SinkBatch, () => execs.held);
    rig.server.fault = () => undefined;
    await deliverAll(sink, batches);
    expect(rig.ids()).toEqual(idsFrom(1, 6));
  });

  it('of the network that delivers an EXEC late meets a watched companion', async () => {
    // It arrives only after the next one has looked: the third EXEC is that of its inspection, the fourth its batch's.
    const execs = holdExec(2, 4);
    await giveUp(rig.make(), sampleBatch('logs', 1, [4]), () => execs.held);
    expect(await rig.make().deliver(sampleBatch('logs', 1, [2, 4]))).toEqual(deliveredAnswer);
    expect(execs.seen).toBeGreaterThan(4);
    expect(rig.ids()).toEqual(idsFrom(1, 6));
  });

  it('of the network that delivers an EXEC late meets it although another signal was written', async () => {
    const sink = rig.make({ options: { stream: '{signal}' } });
    const traces = sampleBatch('traces', 100, [1]);
    await sink.deliver(sampleBatch('logs', 1, [2]));
    await sink.deliver(traces);
    const execs = holdExec(1);
    await giveUp(sink, sampleBatch('logs', 3, [2]), () => execs.held);
    rig.server.fault = () => undefined;
    const next = rig.make({ options: { stream: '{signal}' } });
    for (const id of [3, 5]) expect(await next.deliver(sampleBatch('logs', id, [2]))).toEqual(deliveredAnswer);
    rig.server.release();
    expect(rig.server.hash('{logs}:spillway')).toMatchObject({ last_id: '1-6' });
    expect(await rig.make({ options: { stream: '{signal}' } }).deliver(sampleBatch('logs', 7, [1]))).toEqual(
      deliveredAnswer,
    );
    expect(rig.ids('logs')).toEqual(idsFrom(1, 7));
  });
});

describe('a stream', () => {
  const owner = { code: 'SPILLWAY_CONFIG_OWNER' };

  it.each([
    ['buffer', { uuid: 'another' }],
    ['cursor', { cursor: 'another' }],
  ])('of another %s is left alone', async (_, origin) => {
    await rig.make().deliver(sampleBatch('logs', 1, [2]));
    const records = [{ ...sampleRecord('logs', 9, 1), origin: `${'uuid' in origin ? origin.uuid : uuid}/9` }];
    await expect(rig.make({ origin }).deliver(sampleBatchOf('logs', records))).rejects.toMatchObject(owner);
    expect(rig.ids()).toEqual(idsFrom(1, 2));
  });

  it('with entries that nobody owns is left alone', async () => {
    rig.server.run('XADD', 'events', '*', 'a', 'b');
    await expect(rig.make().deliver(sampleBatch('logs', 1, [2]))).rejects.toMatchObject(owner);
    expect(rig.server.hash('{events}:spillway')).toBeUndefined();
  });

  it('that somebody else writes into, too, ends the sink before anything is taken for a repeat', async () => {
    const sink = rig.make();
    await sink.deliver(sampleBatch('logs', 1, [2]));
    rig.server.run('XADD', 'events', '*', 'a', 'b');
    const outcomes: unknown[] = [];
    for (let tries = 0; tries < 2; tries += 1) {
      outcomes.push(await sink.deliver(sampleBatch('logs', 3, [2])).catch((error: unknown) => error));
    }
    expect(outcomes).toEqual([expect.objectContaining({ kind: 'retryable' }), expect.objectContaining(owner)]);
    await expect(rig.make().deliver(sampleBatch('logs', 3, [2]))).rejects.toMatchObject(owner);
  });

  it('that another claims at the same time belongs to one of them', async () => {
    const other = { uuid: 'another' };
    const theirs = sampleBatchOf('logs', [{ ...sampleRecord('logs', 1, 1), origin: 'another/1' }]);
    let once = true;
    rig.server.fault = ([name]) => {
      if (name === 'XADD' && once) {
        once = false;
        rig.server.run('HSET', '{events}:spillway', 'buffer', 'another', 'cursor', 'archive', 'last_id', '0-0');
      }
      return undefined;
    };
    await expect(rig.make().deliver(sampleBatch('logs', 1, [2]))).rejects.toMatchObject(owner);
    expect(await rig.make({ origin: other }).deliver(theirs)).toEqual(deliveredAnswer);
  });

  it('takes no events of another buffer than its own', async () => {
    const strange = sampleBatchOf('logs', [{ ...sampleRecord('logs', 1, 1), origin: 'another/1' }]);
    await expect(rig.make().deliver(strange)).rejects.toThrow(/should come from buffer/);
  });
});
