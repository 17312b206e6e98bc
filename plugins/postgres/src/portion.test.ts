// A server that is too slow for a batch: it is written in portions, each of which stays, and none is written twice.
import type { SinkAnswer, SinkBatch } from 'spillway/plugin';
import { markersOf, sampleBatch } from 'spillway/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { deliver, never, Rig } from '../test/rig.ts';
import { Portion } from './portion.ts';

const delivered = { kind: 'delivered' };
const events = 24;
/** Records of several events, so that a portion ends within one. */
const batch = sampleBatch('logs', 1, [10, 1, 9, 4]);
/** Far more than any test here needs. */
const triesMax = 60;

let rig: Rig;

beforeEach(async () => {
  rig = await Rig.start();
});

afterEach(async () => {
  await rig[Symbol.asyncDispose]();
});

/** As the driver does: the same batch, until it is delivered. Gives the answers before that. */
async function deliverAtLast(sink: Parameters<typeof deliver>[0], given: SinkBatch): Promise<SinkAnswer[]> {
  const answers: SinkAnswer[] = [];
  for (let tries = 0; tries < triesMax; tries += 1) {
    const answer = await deliver(sink, given);
    if (answer.kind === 'delivered') return answers;
    answers.push(answer);
  }
  throw new Error(`not delivered: ${JSON.stringify(answers.slice(-3))}`);
}

describe('a batch that does not get through in time', () => {
  it.each([2, 5, 9])('gets through in portions where the server manages %i rows in that time', async (rowsMax) => {
    rig.server.fault = (kind, _, rows) => (kind === 'insert' && rows > rowsMax ? 'hang' : undefined);
    const answers = await deliverAtLast(rig.sink({ timeoutMs: 150 }), batch);
    expect(answers.map(({ kind }) => kind)).toEqual(answers.map(() => 'retryable'));
    expect(rig.markers()).toEqual(markersOf(1, events));
    // What was confirmed was not sent again. On a busy machine the answer of a portion, too, may come too late.
    const written = rig.server.insertedRows.filter((rows) => rows <= rowsMax);
    const late = answers.length - (rig.server.insertedRows.length - written.length);
    const again = written.reduce((sum, rows) => sum + rows, 0) - events;
    expect(again).toBeGreaterThanOrEqual(0);
    expect(again).toBeLessThanOrEqual(late * rowsMax);
  });

  it('says how far it has come', async () => {
    let inserts = 0;
    rig.server.fault = (kind) => {
      if (kind === 'insert') inserts += 1;
      return kind === 'insert' && (inserts === 1 || inserts === 3) ? 'hang' : undefined;
    };
    const sink = rig.sink({ timeoutMs: 800 });
    const late = { kind: 'retryable', reason: /no answer in time while inserting$/ };
    expect(await deliver(sink, batch)).toMatchObject(late);
    const reason = /no answer in time while inserting; 6 of 24 events are in$/;
    expect(await deliver(sink, batch)).toMatchObject({ kind: 'retryable', reason });
    expect(rig.markers()).toEqual(markersOf(1, 6));
  });

  it('is one statement again once the server is as fast as before', async () => {
    rig.server.failOnce('insert', 'hang');
    const sink = rig.sink({ timeoutMs: 400 });
    await deliverAtLast(sink, batch);
    for (let first = 101, tries = 0; rig.server.insertedRows.at(-1) !== events; first += events, tries += 1) {
      expect(tries).toBeLessThan(triesMax);
      await deliverAtLast(sink, sampleBatch('logs', first, [events]));
    }
  });

  it('because it was told to give up comes again as one statement', async () => {
    const stop = new AbortController();
    rig.server.fault = (kind) => {
      if (kind === 'insert') queueMicrotask(() => stop.abort());
      return kind === 'insert' ? 'hang' : undefined;
    };
    const sink = rig.sink({ timeoutMs: 60_000 });
    expect(await deliver(sink, batch, stop.signal)).toMatchObject({ kind: 'retryable' });
    rig.server.fault = () => undefined;
    expect(await deliver(sink, batch)).toEqual(delivered);
    expect(rig.server.insertedRows).toEqual([events, events]);
  });

  const faults = (['drop', 'lose'] as const).flatMap((fault) =>
    (['insert', 'mark'] as const).flatMap((kind) => [1, 2, 3].map((at) => ({ fault, kind, at }))),
  );

  it.each(faults)('loses and repeats nothing in portions: $fault at $kind $at', async ({ fault, kind, at }) => {
    rig.server.failOnce('insert', 'hang');
    const sink = rig.sink({ timeoutMs: 400 });
    expect(await deliver(sink, batch)).toMatchObject({ kind: 'retryable' });
    // Some are there already, as from a statement that was cancelled too late.
    await deliver(rig.sink(), sampleBatch('logs', 3, [2, 10]));
    let seen = 0;
    rig.server.fault = (found) => {
      if (found === kind) seen += 1;
      return found === kind && seen === at ? fault : undefined;
    };
    await deliverAtLast(sink, batch);
    expect(seen).toBeGreaterThanOrEqual(Math.min(at, 2));
    expect([...rig.markers()].sort()).toEqual(markersOf(1, events));
  });

  it('whose portion waited for a standby in vain writes that portion again, and has it confirmed', async () => {
    rig.server.failOnce('insert', 'hang');
    const sink = rig.sink({ timeoutMs: 800 });
    await deliver(sink, batch);
    rig.server.failOnce('insert', { notice: { R: 'SyncRepWaitForLSN', M: 'canceling the wait' } });
    expect(await deliver(sink, batch)).toMatchObject({ kind: 'retryable', reason: /standby/ });
    expect(rig.markers()).toEqual(markersOf(1, 6));
    expect(rig.server.statements.some((text) => text.includes('emit_message'))).toBe(false);
    await deliverAtLast(sink, batch);
    expect(rig.server.insertedRows.slice(1, 3)).toEqual([6, 6]);
    expect(rig.server.statements.filter((text) => text.includes('emit_message'))).toHaveLength(1);
    expect(rig.markers()).toEqual(markersOf(1, events));
  });

  it('whose portion was there already has that confirmed before it counts', async () => {
    rig.server.failOnce('insert', 'hang');
    const sink = rig.sink({ timeoutMs: 800 });
    await deliver(sink, batch);
    await deliver(rig.sink(), sampleBatch('logs', 1, [6]));
    rig.server.failOnce('mark', { notice: { R: 'SyncRepWaitForLSN', M: 'canceling the wait' } });
    expect(await deliver(sink, batch)).toMatchObject({ kind: 'retryable', reason: /before it confirmed$/ });
    await deliverAtLast(sink, batch);
    expect(rig.server.insertedRows.slice(0, 3)).toEqual([events, 6, 6]);
    // All of them once more, the first portion included.
    expect(rig.server.insertedRows.slice(3).reduce((sum, rows) => sum + rows, 0)).toBe(events);
    expect(rig.markers()).toEqual(markersOf(1, events));
  });

  it('is refused as a whole where a later portion is', async () => {
    rig.server.failOnce('insert', 'hang');
    const sink = rig.sink({ timeoutMs: 800 });
    await deliver(sink, batch);
    let inserts = 0;
    rig.server.fault = (kind) => {
      if (kind === 'insert') inserts += 1;
      return kind === 'insert' && inserts === 2 ? { error: { state: '22P02', message: 'no number' } } : undefined;
    };
    expect(await deliver(sink, batch)).toMatchObject({ kind: 'rejected' });
    expect(rig.markers()).toEqual(markersOf(1, 6));
    expect(await sink.deliver(sampleBatch('logs', 1, [10, 1]), { signal: never })).toEqual(delivered);
    expect(rig.markers()).toEqual(markersOf(1, 11));
  });
});

describe('how many rows a statement gets', () => {
  it('is a quarter of what was too many, and never none', () => {
    const portion = new Portion(1_000);
    expect(portion.rowsMax).toBe(Number.POSITIVE_INFINITY);
    for (const [tried, left] of [
      [1_000, 250],
      [250, 62],
      [2, 1],
      [1, 1],
    ] as const) {
      portion.ranOutOfTime(tried);
      expect(portion.rowsMax).toBe(left);
    }
  });

  it('is not taken down again by batches that began at the same time', () => {
    const portion = new Portion(1_000);
    for (let batches = 0; batches < 4; batches += 1) portion.ranOutOfTime(1_000);
    expect(portion.rowsMax).toBe(250);
  });

  it('doubles with what took little of the time, and with nothing else', () => {
    const portion = new Portion(1_000);
    portion.ranOutOfTime(400);
    portion.committed({ rows: 100, tookMs: 251 });
    expect(portion.rowsMax).toBe(100);
    portion.committed({ rows: 40, tookMs: 1 });
    expect(portion.rowsMax).toBe(100);
    portion.committed({ rows: 100, tookMs: 250 });
    expect(portion.rowsMax).toBe(200);
  });
});
