import type { AddressInfo } from 'node:net';
import { type SinkAnswer, type SinkBatch, z } from 'spillway/plugin';
import {
  markersIn,
  markersOf,
  realWorld,
  sampleBatch,
  sampleBatchOf,
  sampleRecord,
  testSinkContext,
} from 'spillway/testing';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { authorityFile, receiverTls, senderFiles } from '../test/certificates.ts';
import { type Behaviour, ReceiverDouble } from '../test/receiver-double.ts';
import { startSlowRelay } from '../test/slow-relay.ts';
import { type SyslogOptions, schema } from './options.ts';
import { SyslogSink } from './syslog-sink.ts';

let receiver: ReceiverDouble;

beforeEach(async () => {
  receiver = await ReceiverDouble.start();
});

afterEach(async () => {
  await receiver.stop();
});

interface Given {
  readonly options?: Readonly<Record<string, unknown>>;
  readonly timeoutMs?: number;
  readonly uuid?: string | undefined;
}

function makeSink({ options = {}, timeoutMs = 8_000, ...origin }: Given = {}) {
  const world = worldThatPasses();
  const context = testSinkContext({ timeoutMs, world, origin });
  const parsed: SyslogOptions = schema.parse({ address: `127.0.0.1:${receiver.port}`, ...options });
  const sink = new SyslogSink(parsed, context);
  onTestFinished(() => sink.close());
  return Object.assign(sink, { log: context.log, world });
}

/** Its clock can be put forward. */
function worldThatPasses() {
  const world = realWorld();
  const { clock } = world;
  let passedMs = 0;
  return {
    ...world,
    clock: {
      now: () => clock.now(),
      monotonic: () => clock.monotonic() + passedMs,
      defer: clock.defer.bind(clock),
      setTimer: clock.setTimer.bind(clock),
    },
    pass(ms: number) {
      passedMs += ms;
    },
  };
}

function deliver(sink: SyslogSink, batch: SinkBatch): Promise<SinkAnswer> {
  return sink.deliver(batch, { signal: new AbortController().signal });
}

const markers = (): string[] => receiver.messages.flatMap(({ bytes }) => markersIn(bytes));
const small = (): SinkBatch => sampleBatch('logs', 1, [2, 1]);
/** Three megabytes of messages: more than the systems on both sides hold for a process that does not read. */
const large = (): SinkBatch => sampleBatch('logs', 1, [300, 300], 'x'.repeat(5_000));

/** What another process or thread has to do first. */
const eventually = <Value>(look: () => Value | Promise<Value>) => expect.poll(look);

const both = [['close'], ['receipt']] as const;

describe.each(both)('confirm: %s', (confirm) => {
  it('delivers in order', async () => {
    const sink = makeSink({ options: { confirm } });
    expect(await deliver(sink, small())).toEqual({ kind: 'delivered' });
    expect(await deliver(sink, sampleBatch('logs', 4, [2]))).toEqual({ kind: 'delivered' });
    await eventually(markers).toEqual(markersOf(1, 5));
    expect(receiver.connections).toBe(confirm === 'close' ? 2 : 1);
  });

  it.each<[string, Behaviour, string]>([
    ['resets connections', { kind: 'resets', at: 'connect' }, 'retryable'],
    ['resets them at the first bytes', { kind: 'resets', at: 'first bytes' }, 'retryable'],
    ['ends them at the first bytes', { kind: 'ends', at: 'first bytes' }, 'retryable'],
    ['never reads', { kind: 'never reads' }, 'retryable'],
  ])('takes a receiver that %s for an outage, and gives it all afterwards', async (_, behaviour, kind) => {
    // Only one that never reads makes the sink wait for as long as it may.
    const sink = makeSink({ options: { confirm }, timeoutMs: behaviour.kind === 'never reads' ? 2_000 : 30_000 });
    receiver.behaviour = behaviour;
    const answer = await deliver(sink, large());
    expect(answer).toMatchObject({ kind, reason: expect.stringContaining(`127.0.0.1:${receiver.port}: `) });
    receiver.behaviour = { kind: 'reads' };
    await eventually(async () => (await deliver(sink, large())).kind).toBe('delivered');
    await eventually(() => new Set(markers()).size).toBe(600);
  });

  it('is blocked by one that answers', async () => {
    receiver.behaviour = { kind: 'answers' };
    const sink = makeSink({ options: { confirm }, timeoutMs: 1_000 });
    const answers: string[] = [];
    for (let tries = 0; tries < 3; tries += 1) answers.push((await deliver(sink, large())).kind);
    expect(answers).toContain('blocked');
  });

  it('leaves no connection', async () => {
    const sink = makeSink({ options: { confirm } });
    await deliver(sink, small());
    await sink.close();
    await eventually(() => receiver.openConnections).toBe(0);
  });
});

describe('confirm: close', () => {
  it('waits for a receiver that closes late', async () => {
    const sink = makeSink();
    await deliver(sink, small());
    receiver.behaviour = { kind: 'never closes' };
    const answer = deliver(sink, sampleBatch('logs', 4, [2]));
    await eventually(markers).toEqual(markersOf(1, 5));
    receiver.release();
    expect(await answer).toEqual({ kind: 'delivered' });
  });

  it('does not take it for a confirmation that a receiver closes at once which it knows nothing of', async () => {
    receiver.behaviour = { kind: 'ends', at: 'first bytes' };
    const reason = expect.stringContaining('the receiver closed the connection by itself');
    expect(await deliver(makeSink(), small())).toEqual({ kind: 'retryable', reason });
  });

  it('waits for one that reads late', async () => {
    receiver.behaviour = { kind: 'reads on release' };
    const answer = deliver(makeSink(), large());
    await eventually(() => receiver.connections).toBe(1);
    receiver.behaviour = { kind: 'reads' };
    receiver.release();
    expect(await answer).toEqual({ kind: 'delivered' });
    expect(markers()).toEqual(markersOf(1, 600));
  });

  it('says that it was the closing that did not come', async () => {
    const sink = makeSink();
    await deliver(sink, small());
    receiver.behaviour = { kind: 'never closes' };
    const stop = new AbortController();
    const answer = sink.deliver(sampleBatch('logs', 4, [2]), { signal: stop.signal });
    await eventually(markers).toEqual(markersOf(1, 5));
    stop.abort();
    const reason = expect.stringContaining('while waiting for the receiver to close the connection');
    expect(await answer).toEqual({ kind: 'retryable', reason });
    const { signal } = new AbortController();
    expect(await makeSink({ timeoutMs: 1_000 }).checkHealth({ signal })).toEqual({ kind: 'retryable', reason });
  });

  it('sends only the rest of a batch of which a part was confirmed', async () => {
    const sink = makeSink();
    receiver.onConnection = (number) => {
      receiver.behaviour = { kind: number === 2 ? 'never closes' : 'reads' };
    };
    const stop = new AbortController();
    const answer = sink.deliver(large(), { signal: stop.signal });
    await eventually(() => receiver.connections).toBe(2);
    stop.abort();
    expect(await answer).toMatchObject({ kind: 'retryable', reason: expect.stringContaining('given up') });
    expect(await deliver(sink, large())).toEqual({ kind: 'delivered' });
    const found = markers();
    expect([...new Set(found)]).toEqual(markersOf(1, 600));
    expect(found.length).toBeLessThan(900);
    expect(await deliver(sink, small())).toEqual({ kind: 'delivered' });
    expect(markers()).toHaveLength(found.length + 3);
  });
});

describe('confirm: receipt', () => {
  const options = { confirm: 'receipt' };

  it('notices between two batches that the receiver has closed, and says what that means', async () => {
    const sink = makeSink({ options });
    await deliver(sink, small());
    await eventually(() => receiver.receivedBytes).toBeGreaterThan(0);
    receiver.endAll();
    await expect
      .poll(async () => {
        const answer = await deliver(sink, sampleBatch('logs', 4, [1]));
        return [answer.kind, receiver.connections];
      })
      .toEqual(['delivered', 2]);
    expect(markers()).toContain('event-000004');
  });

  it('is given by the system, whatever the process does', async () => {
    receiver.behaviour = { kind: 'never reads' };
    expect(await deliver(makeSink({ options }), small())).toEqual({ kind: 'delivered' });
    expect(receiver.receivedBytes).toBe(0);
  });
});

describe('what cannot be sent', () => {
  it('is refused alone, after what stands before it', async () => {
    const sink = makeSink({ options: { when_too_long: 'reject', max_message_bytes: 2048 } });
    const [before, long, after] = [
      sampleRecord('logs', 1, 2),
      sampleRecord('logs', 3, 1, 'x'.repeat(3_000)),
      sampleRecord('logs', 4, 1),
    ];
    const reason = expect.stringMatching(/^its message has \d+ bytes, and 2048 are allowed$/);
    expect(await deliver(sink, sampleBatchOf('logs', [before, long, after]))).toEqual({ kind: 'rejected', reason });
    expect(await deliver(sink, sampleBatchOf('logs', [before]))).toEqual({ kind: 'delivered' });
    expect(await deliver(sink, sampleBatchOf('logs', [long]))).toEqual({ kind: 'rejected', reason });
    expect(await deliver(sink, sampleBatchOf('logs', [after]))).toEqual({ kind: 'delivered' });
    expect(markers()).toEqual(['event-000001', 'event-000002', 'event-000004']);
  });

  it('has nothing sent again that stands before it, however often the batch is halved', async () => {
    const sink = makeSink({ options: { when_too_long: 'reject', max_message_bytes: 2048 } });
    const short = [1, 2, 3].map((id) => sampleRecord('logs', id, 1));
    const records = [...short, sampleRecord('logs', 4, 1, 'x'.repeat(3_000))];
    const kinds: string[] = [];
    for (const part of [records, records.slice(0, 2), records.slice(2), records.slice(2, 3), records.slice(3)])
      kinds.push((await deliver(sink, sampleBatchOf('logs', part))).kind);
    expect(kinds).toEqual(['rejected', 'delivered', 'rejected', 'delivered', 'rejected']);
    expect(markers()).toEqual(markersOf(1, 3));
    expect(await deliver(sink, sampleBatchOf('logs', short))).toEqual({ kind: 'delivered' });
    expect(markers()).toEqual([...markersOf(1, 3), ...markersOf(1, 3)]);
  });

  it('is also what cannot be decoded', async () => {
    // A log record with a body that says it is longer than it is: counted like any other, for its own length is right.
    const bytes = Uint8Array.of(0x0a, 8, 0x12, 6, 0x12, 4, 0x2a, 2, 0x0a, 5);
    const record = { ...sampleRecord('logs', 1, 1), bytes };
    const answer = await deliver(makeSink(), sampleBatchOf('logs', [record]));
    expect(answer).toEqual({ kind: 'rejected', reason: 'an event cannot be decoded' });
    expect(receiver.connections).toBe(0);
  });

  it('is a defect where the count of events is wrong', async () => {
    const record = { ...sampleRecord('logs', 1, 2), events: 3 };
    await expect(deliver(makeSink(), sampleBatchOf('logs', [record]))).rejects.toThrow('should hold 3 events, has 2');
  });
});

it('delivers to an address of IPv4 that is written as one of IPv6', async () => {
  const sink = makeSink({ options: { address: `[::ffff:127.0.0.1]:${receiver.port}` } });
  expect(await deliver(sink, small())).toEqual({ kind: 'delivered' });
});

it('gives the key only where it means something beyond this process', async () => {
  await deliver(makeSink(), small());
  await deliver(makeSink({ uuid: undefined }), small());
  const keys = receiver.messages.map(({ elements }) => elements[0]?.parameters.find(([name]) => name === 'key')?.[1]);
  const uuid = '0b1e9c52-6f0d-4c5a-9d2e-5a1f4b7c8d90';
  expect(keys).toEqual([1, 2, 3].map((id) => `${uuid}/1-${id}`).concat(Array(3).fill(undefined)));
});

describe('TLS', () => {
  const tls = { enabled: true, ca_file: authorityFile };

  async function secured(more: Readonly<Record<string, unknown>> = {}): Promise<void> {
    await receiver.stop();
    receiver = await ReceiverDouble.start({ ...receiverTls, ...more });
  }

  it.each(both)('delivers with confirm: %s, over 1.2 and 1.3', async (confirm) => {
    for (const version of ['TLSv1.2', 'TLSv1.3']) {
      await secured({ minVersion: version, maxVersion: version });
      const sink = makeSink({ options: { confirm, tls } });
      expect(await deliver(sink, large())).toEqual({ kind: 'delivered' });
      await eventually(markers).toEqual(markersOf(1, 600));
      await sink.close();
    }
  });

  it.each([
    ['an authority that is not trusted', { enabled: true }],
    ['a certificate of another name', { ...tls, server_name: 'elsewhere.example' }],
    ['a file that is not there', { ...tls, ca_file: '/nonexistent/authority.pem' }],
    ['a key that is none', { ...tls, crt_file: senderFiles.cert, key_file: authorityFile }],
  ])('is blocked by %s, and sends nothing', async (_, options) => {
    await secured();
    const shown = { crt_file: senderFiles.cert, key_file: senderFiles.key, key_pass: 'pa$$word' };
    const sink = makeSink({ options: { tls: { ...shown, ...options } } });
    const answer = await deliver(sink, small());
    expect(answer.kind).toBe('blocked');
    const { signal } = new AbortController();
    expect((await sink.checkHealth({ signal })).kind).toBe('blocked');
    expect(JSON.stringify([answer, sink.log.lines])).not.toContain('pa$$word');
    expect(receiver.receivedBytes).toBe(0);
  });

  it('does not wait longer for a file that cannot be read than for anything else', async () => {
    const sink = makeSink({ options: { tls, connect_timeout_secs: 0.05 }, timeoutMs: 200 });
    const readText = () => new Promise<never>(() => undefined);
    Object.assign(sink.world, { files: Object.assign(Object.create(sink.world.files), { readText }) });
    const reason = expect.stringContaining('no answer in time while reading certificates');
    expect(await deliver(sink, small())).toEqual({ kind: 'retryable', reason });
  });

  it.each(['TLSv1.2', 'TLSv1.3'] as const)('shows a certificate where one is asked for, over %s', async (version) => {
    await secured({ requestCert: true, rejectUnauthorized: true, minVersion: version, maxVersion: version });
    const shown = { ...tls, crt_file: senderFiles.cert, key_file: senderFiles.key };
    expect(await deliver(makeSink({ options: { tls: shown } }), small())).toEqual({ kind: 'delivered' });
    const answers = new Set<string>();
    const sink = makeSink({ options: { tls } });
    for (let tries = 0; tries < 5; tries += 1) answers.add((await deliver(sink, small())).kind);
    expect(answers.has('delivered')).toBe(false);
  });

  it('is not missed when a receiver begins to want it between two batches', async () => {
    const { port } = receiver;
    const sink = makeSink();
    expect(await deliver(sink, small())).toEqual({ kind: 'delivered' });
    await receiver.stop();
    receiver = await ReceiverDouble.start(receiverTls, port);
    sink.world.pass(1_000);
    expect((await deliver(sink, sampleBatch('logs', 4, [1]))).kind).not.toBe('delivered');
  });

  it('gives no receipt before a receiver has had time to refuse the certificate', async () => {
    await secured({ requestCert: true, rejectUnauthorized: true, minVersion: 'TLSv1.3' });
    const relay = await startSlowRelay(receiver.port);
    onTestFinished(() => void relay.close());
    const { port } = relay.address() as AddressInfo;
    const sink = makeSink({ options: { address: `127.0.0.1:${port}`, confirm: 'receipt', tls } });
    for (let tries = 0; tries < 3; tries += 1) expect((await deliver(sink, small())).kind).not.toBe('delivered');
  });

  it.each(both)(
    'is not what a receiver without it takes, and the other way round, with confirm: %s',
    async (confirm) => {
      const withTls = makeSink({ options: { confirm, tls }, timeoutMs: 500 });
      expect((await deliver(withTls, small())).kind).not.toBe('delivered');
      await secured();
      const without = makeSink({ options: { confirm }, timeoutMs: 2_000 });
      for (let tries = 0; tries < 3; tries += 1) expect((await deliver(without, small())).kind).not.toBe('delivered');
    },
  );
});

describe('options', () => {
  const parse = (given: Readonly<Record<string, unknown>>) => schema.safeParse({ address: 'localhost:601', ...given });

  it('have their defaults', () => {
    expect(parse({}).data).toEqual({
      address: { host: 'localhost', port: 601 },
      mode: 'tcp',
      tls: { enabled: false, verify_certificate: true, verify_hostname: true },
      confirm: 'close',
      connect_timeout_secs: 5_000,
      keepalive: { time_secs: 60_000 },
      facility: 1,
      structured_data: ['event', 'attributes'],
      enterprise_id: 32_473,
      byte_order_mark: true,
      control_characters: 'keep',
      max_message_bytes: 8_192,
      when_too_long: 'truncate',
    });
  });

  it.each([
    [{ address: 'localhost' }],
    [{ mode: 'udp' }],
    [{ confirm: 'none' }],
    [{ facility: 'local8' }],
    [{ max_message_bytes: 2_047 }],
    [{ structured_data: ['scope'] }],
    [{ tls: { enabled: true, verify: false } }],
    [{ tls: { ca_file: '/authority.pem' } }],
    [{ tls: { verify_hostname: false } }],
    [{ hostname: '{nothing}' }],
    [{ colour: 'red' }],
  ])('%j are refused', (given) => {
    expect(parse(given).success).toBe(false);
  });

  it('may have what TLS needs while it is switched off', () => {
    expect(parse({ tls: { enabled: false, ca_file: '/authority.pem' } }).data?.tls.enabled).toBe(false);
  });

  it('can be described by a JSON Schema', () => {
    expect(z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' })).toMatchObject({ required: ['address'] });
  });
});
