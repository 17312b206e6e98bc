// Every place where a fault can strike, against a server in this process: nothing is lost, nothing is written twice,
// and nothing slips in without the message before it.
import type { Sink, SinkAnswer, SinkBatch } from 'spillway/plugin';
import { markersOf, sampleBatch, sampleOriginUuid } from 'spillway/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Command } from '../test/nats-double.ts';
import { deliver, deliveredAnswer, isAsking, isEvent, keysOf, never, SinkRig } from '../test/sink-rig.ts';
import { refusal } from '../test/stream-double.ts';

const uuid = sampleOriginUuid;
let rig: SinkRig;

beforeEach(async () => {
  rig = await SinkRig.start();
});

afterEach(async () => {
  await rig[Symbol.asyncDispose]();
});

describe('a fault', () => {
  const batches = [sampleBatch('logs', 1, [2]), sampleBatch('logs', 3, [3]), sampleBatch('logs', 6, [1])];

  async function deliverAll(sink: Sink, each: (answer: SinkAnswer) => void = () => undefined): Promise<void> {
    for (const batch of batches) {
      for (let tries = 0; ; tries += 1) {
        const answer = await deliver(sink, batch);
        each(answer);
        if (answer.kind === 'delivered') break;
        expect(tries).toBeLessThan(5);
      }
    }
  }

  const places: readonly (readonly [name: string, isMeant: (command: Command) => boolean])[] = [
    ['a message', isEvent],
    ['STREAM.NAMES', isAsking('NAMES')],
    ['STREAM.INFO', isAsking('INFO')],
    ['STREAM.MSG.GET', isAsking('MSG')],
    ['CONNECT', ({ verb }) => verb === 'CONNECT'],
    ['PING', ({ verb }) => verb === 'PING'],
  ];
  const cases = places.flatMap(([name, isMeant]) =>
    (['drop', 'lose'] as const).flatMap((fault) => [0, 1, 2, 4].map((skipped) => ({ name, isMeant, fault, skipped }))),
  );

  it.each(cases)('$fault at $name after $skipped of them loses and repeats nothing', async (at) => {
    const count = rig.server.failOnce(at.isMeant, at.fault, at.skipped);
    const kinds: string[] = [];
    await deliverAll(rig.sink(), ({ kind }) => kinds.push(kind));
    expect(rig.ids).toEqual(keysOf(1, 6));
    expect(rig.markers).toEqual(markersOf(1, 6));
    const isMet = count.seen > at.skipped;
    expect(new Set(kinds)).toEqual(isMet ? new Set(['retryable', 'delivered']) : new Set(['delivered']));
  });

  it.each([0, 1, 2])('that refuses message %i of three refuses those behind it, too', async (refused) => {
    const isRefused = ({ headers }: Command): boolean => headers['Nats-Msg-Id'] === `${uuid}/1-${3 + refused}`;
    const sink = rig.sink();
    await deliver(sink, batches[0] as SinkBatch);
    rig.server.failOnce(isRefused, { say: refusal(503, 10_077, 'maximum bytes exceeded') });
    expect(await deliver(sink, batches[1] as SinkBatch)).toMatchObject({
      kind: 'retryable',
      reason: expect.stringMatching(/^127\.0\.0\.1:\d+: stream telemetry: maximum bytes exceeded/),
    });
    expect(rig.ids).toEqual(keysOf(1, 2 + refused));
    await deliverAll(sink);
    expect(rig.ids).toEqual(keysOf(1, 6));
  });

  it('that loses a message on the way lets none behind it in', async () => {
    const sink = rig.sink({ timeoutMs: 300 });
    const isLost = ({ headers }: Command): boolean => headers['Nats-Msg-Id'] === `${uuid}/1-4`;
    rig.server.failOnce(isLost, 'hold');
    await deliver(sink, batches[0] as SinkBatch);
    expect(await deliver(sink, batches[1] as SinkBatch)).toMatchObject({ kind: 'retryable', reason: /in time/ });
    expect(rig.ids).toEqual(keysOf(1, 3));
    await deliverAll(sink);
    expect(rig.ids).toEqual(keysOf(1, 6));
    rig.server.release();
    expect(rig.ids).toEqual(keysOf(1, 6));
  });

  it('that keeps an acknowledgement back ends with the connection, and nothing is written twice', async () => {
    const sink = rig.sink({ timeoutMs: 300 });
    await deliver(sink, batches[0] as SinkBatch);
    rig.server.failOnce(isEvent, 'mute');
    expect(await deliver(sink, batches[1] as SinkBatch)).toMatchObject({ kind: 'retryable', reason: /in time/ });
    await expect.poll(() => rig.server.openConnections).toBe(0);
    rig.stream.forgetIds();
    await deliverAll(sink);
    expect(rig.ids).toEqual(keysOf(1, 6));
  });

  it.each(['NAMES', 'INFO', 'MSG'])(
    'of the network that delivers messages after the next asked for %s',
    async (what) => {
      const first = rig.sink({ timeoutMs: 300 });
      await deliver(first, batches[0] as SinkBatch);
      rig.server.fault = (command) => (isEvent(command) ? 'hold' : undefined);
      expect(await deliver(first, batches[1] as SinkBatch)).toMatchObject({ kind: 'retryable' });
      rig.stream.forgetIds();
      rig.server.fault = (command) => {
        if (isAsking(what)(command)) rig.server.release();
        return undefined;
      };
      await deliverAll(rig.sink());
      expect(rig.ids).toEqual(keysOf(1, 6));
    },
  );

  it('of a server that notes ids before it takes their messages costs no message', async () => {
    rig.stream.limits = { notesIdsEarly: true };
    const sink = rig.sink();
    await deliver(sink, batches[0] as SinkBatch);
    const isRefused = ({ headers }: Command): boolean => headers['Nats-Msg-Id'] === `${uuid}/1-3`;
    rig.server.failOnce(isRefused, { say: refusal(503, 10_008, 'JetStream system temporarily unavailable') });
    expect(await deliver(sink, batches[1] as SinkBatch)).toMatchObject({ kind: 'retryable' });
    await deliverAll(sink);
    expect(rig.markers).toEqual(markersOf(1, 6));
    expect(rig.ids[3]).toBe(`${uuid}/1-4~1`);
    rig.stream.restart();
    expect(await deliver(rig.sink(), sampleBatch('logs', 1, [7]))).toEqual(deliveredAnswer);
    expect(rig.markers).toEqual(markersOf(1, 7));
  });

  it.each([
    [10_158, 409, 'duplicate message id is in process'],
    [10_071, 400, 'wrong last sequence: 12'],
    [10_070, 400, 'wrong last msg ID: '],
  ])('of a stream that says %i is looked into at once', async (number, code, description) => {
    const sink = rig.sink();
    await deliver(sink, batches[0] as SinkBatch);
    rig.server.failOnce(isEvent, { say: refusal(code, number, description) });
    expect(await deliver(sink, batches[1] as SinkBatch)).toEqual(deliveredAnswer);
    expect(rig.markers).toEqual(markersOf(1, 5));
  });

  it('of a stream that says so for ever is retryable in the end', async () => {
    rig.server.fault = (command) =>
      isEvent(command) ? { say: refusal(400, 10_071, 'wrong last sequence: 9') } : undefined;
    expect(await deliver(rig.sink(), batches[0] as SinkBatch)).toMatchObject({
      kind: 'retryable',
      reason: /elsewhere/,
    });
  });

  it.each([
    [refusal(503, 10_077, 'maximum messages exceeded'), 'retryable'],
    [refusal(503, 10_023, 'insufficient resources'), 'retryable'],
    [refusal(400, 10_002, 'resource limits exceeded for account'), 'retryable'],
    [refusal(503, 10_008, 'JetStream system temporarily unavailable'), 'retryable'],
    [refusal(429, 10_167, 'too many requests'), 'retryable'],
    [refusal(500, 99_999, 'something that nobody has heard of'), 'retryable'],
    [refusal(400, 10_060, 'expected stream does not match'), 'blocked'],
    [refusal(400, 10_109, 'invalid operation on sealed stream'), 'blocked'],
    [refusal(503, 10_039, 'JetStream not enabled for account'), 'blocked'],
    [refusal(400, 10_054, 'message size exceeds maximum allowed'), 'too_large'],
    [refusal(503, 10_077, 'message too large'), 'too_large'],
  ])('%j is %s, and afterwards all goes on', async (say, kind) => {
    rig.server.failOnce(isEvent, { say }, 1);
    const sink = rig.sink();
    expect(await deliver(sink, batches[0] as SinkBatch)).toMatchObject({ kind, reason: expect.any(String) });
    await deliverAll(sink);
    expect(rig.ids).toEqual(keysOf(1, 6));
  });

  it.each([
    ['Permissions Violation for Publish to "telemetry.logs"', 'blocked'],
    ['Authorization Violation', 'blocked'],
    ['User Authentication Expired', 'blocked'],
    ['Authentication Timeout', 'retryable'],
    ['maximum connections exceeded', 'retryable'],
    ['Stale Connection', 'retryable'],
    ['Maximum Payload Violation', 'too_large'],
  ])("-ERR '%s' is %s, and ends the connection", async (error, kind) => {
    const sink = rig.sink();
    await deliver(sink, batches[0] as SinkBatch);
    rig.server.failOnce(isEvent, { error });
    const reason = expect.stringContaining(error);
    expect(await deliver(sink, batches[1] as SinkBatch)).toMatchObject({ kind, reason });
    await deliverAll(sink);
    expect(rig.server.connections).toBe(2);
    expect(rig.ids).toEqual(keysOf(1, 6));
  });

  it.each([{ error: 'x'.repeat(100_000) }, { say: refusal(500, 99_999, 'x'.repeat(100_000)) }])(
    'that is told at length is told shortly (%#)',
    async (fault) => {
      rig.server.failOnce(isEvent, fault);
      const reason = expect.stringMatching(/^.{400,700}$/);
      expect(await deliver(rig.sink(), batches[0] as SinkBatch)).toMatchObject({ kind: 'retryable', reason });
    },
  );

  it('of an address where nobody listens is retryable, and of a name that is none is blocked', async () => {
    const nobody = rig.sink({ options: { url: 'nats://127.0.0.1:1' } });
    expect(await deliver(nobody, batches[0] as SinkBatch)).toMatchObject({ kind: 'retryable', reason: /ECONNREFUSED/ });
    expect(await nobody.checkHealth?.({ signal: never })).toMatchObject({ kind: 'retryable' });
    const noName = rig.sink({ options: { url: 'nats://no-such-host.invalid' } });
    expect((await deliver(noName, batches[0] as SinkBatch)).kind).toMatch(/blocked|retryable/);
  });

  it('of one server is none where another of its cluster answers', async () => {
    const sink = rig.sink({ options: { url: `nats://127.0.0.1:1,${rig.server.url}` } });
    expect(await deliver(sink, batches[0] as SinkBatch)).toEqual(deliveredAnswer);
    await deliverAll(sink);
    expect(rig.server.connections).toBe(1);
  });

  it('of JetStream that is not enabled is blocked', async () => {
    rig.server.isJetStreamOn = false;
    expect(await deliver(rig.sink(), batches[0] as SinkBatch)).toMatchObject({
      kind: 'blocked',
      reason: /not enabled/,
    });
    expect(await rig.sink({ options: { stream: 'telemetry' } }).checkHealth?.({ signal: never })).toMatchObject({
      kind: 'blocked',
    });
  });
});
