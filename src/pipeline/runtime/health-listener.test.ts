import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import type { PipelineStatus } from '../contract/status.ts';
import { HealthListener, reasonsNotReady } from './health-listener.ts';

const amount = { events: 0, bytes: 0 };

function statusWith(states: {
  readonly source?: PipelineStatus['sources'][number]['state'];
  readonly buffer?: string;
  readonly sink?: PipelineStatus['sinks'][number]['state'];
}): PipelineStatus {
  const { source = 'running', buffer = 'open', sink = 'running' } = states;
  const counts = { received: amount, accepted: amount, dropped: amount, refused: amount };
  const common = { id: 'it', type: 'it', reason: 'why', restarts: 0 };
  return {
    state: 'running',
    startedMs: 0,
    sources: [{ ...common, state: source, address: undefined, ...counts }],
    buffers: [
      {
        id: 'it',
        state: buffer,
        reason: 'why',
        backlog: amount,
        usedBytes: 0,
        maxBytes: 1,
        waitingAppends: 0,
        cursors: [],
      },
    ],
    sinks: [
      {
        ...common,
        buffer: 'it',
        state: sink,
        sinceMs: 0,
        delivered: amount,
        refusedEvents: 0,
        rejectedEvents: 0,
        retries: 0,
        inFlight: 0,
      },
    ],
  };
}

describe('readiness', () => {
  it.each([
    [{}, []],
    [{ source: 'starting' }, ['source it is not running: why']],
    [{ source: 'waiting' }, ['source it is not running: why']],
    [{ source: 'ended' }, []],
    [{ buffer: 'starting' }, ['buffer it is starting: why']],
    [{ buffer: 'stalled' }, ['buffer it is stalled: why']],
    [{ buffer: 'failed' }, ['buffer it is failed: why']],
    [{ sink: 'starting' }, ['sink it is starting: why']],
    [{ sink: 'retrying' }, []],
    [{ sink: 'blocked' }, ['sink it is blocked: why']],
    [{ sink: 'waiting' }, ['sink it is waiting: why']],
    [{ sink: 'stopped' }, ['sink it is stopped: why']],
  ] as const)('with %j is %j', (states, expected) => {
    expect(reasonsNotReady(statusWith(states))).toEqual(expected);
  });
});

describe('the health listener', () => {
  const sockets: Socket[] = [];
  let listener: HealthListener | undefined;

  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    await listener?.close();
  });

  it('says what the system said when it cannot listen', async () => {
    listener = new HealthListener(() => statusWith({}));
    const address = new URL(await listener.listen({ host: '127.0.0.1', port: 0 }));
    const second = new HealthListener(() => statusWith({}));
    const listening = second.listen({ host: '127.0.0.1', port: Number(address.port) });
    await expect(listening).rejects.toMatchObject({
      code: 'SPILLWAY_STORAGE_DENIED',
      message: expect.stringContaining(`Cannot answer health on ${address.host} (listen EADDRINUSE`),
    });
    await second.close();
  });

  it('answers a probe with a query', async () => {
    listener = new HealthListener(() => statusWith({}));
    const url = await listener.listen({ host: '127.0.0.1', port: 0 });
    expect((await fetch(`${url}/readyz?verbose`)).status).toBe(200);
    expect((await fetch(`${url}/status`)).status).toBe(200);
  });

  it('answers with metrics in the format of Prometheus, or why it cannot', async () => {
    let answer = async (): Promise<string> => 'one 1\n';
    listener = new HealthListener(() => statusWith({}), { metrics: () => answer() });
    const url = await listener.listen({ host: '127.0.0.1', port: 0 });
    const response = await fetch(`${url}/metrics`);
    expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(await response.text()).toBe('one 1\n');
    const head = await fetch(`${url}/metrics`, { method: 'HEAD' });
    expect([head.status, await head.text()]).toEqual([200, '']);
    answer = () => Promise.reject(new Error('no disk'));
    const failed = await fetch(`${url}/metrics`);
    expect([failed.status, await failed.text()]).toEqual([500, '{"error":"no disk"}\n']);
  });

  it('takes its places back from clients that neither ask nor go', async () => {
    listener = new HealthListener(() => statusWith({}), { patienceMs: 50 });
    const { hostname, port, href } = new URL(await listener.listen({ host: '127.0.0.1', port: 0 }));
    const closings = Array.from({ length: 64 }, (_, index) => {
      const socket = connect(Number(port), hostname);
      sockets.push(socket);
      socket.on('error', () => undefined);
      if (index % 2 === 0) socket.write('GET /readyz HTTP/1.1\r\n');
      return new Promise((resolve) => socket.on('close', resolve));
    });
    await Promise.all(closings);
    expect((await fetch(`${href}readyz`)).status).toBe(200);
  });
});
