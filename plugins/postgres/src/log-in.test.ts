// Passwords and TLS: who is refused, whom we refuse, and that no secret is ever shown.
import { sampleBatch } from 'spillway/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { certificateFile, serverTls } from '../test/certificates.ts';
import { deliver, never, Rig } from '../test/rig.ts';

let rig: Rig;

beforeEach(async () => {
  rig = await Rig.start();
});

afterEach(async () => {
  await rig[Symbol.asyncDispose]();
});

const batch = sampleBatch('logs', 1, [1]);
const delivered = { kind: 'delivered' };

describe('a password', () => {
  it('that is wrong or missing is blocked', async () => {
    rig.server.password = 'right';
    const wrong = rig.sink({ options: { password: 'wrong' } });
    expect(await deliver(wrong, batch)).toMatchObject({ kind: 'blocked', reason: expect.stringContaining('28P01') });
    expect(await wrong.checkHealth?.({ signal: never })).toMatchObject({ kind: 'blocked' });
    expect(await deliver(rig.sink(), batch)).toMatchObject({ kind: 'blocked', reason: /none in the config/ });
    expect(await deliver(rig.sink({ options: { password: 'right' } }), batch)).toEqual(delivered);
    const endpoint = rig.server.endpoint.replace('writer@', 'writer:right@');
    expect(await deliver(rig.sink({ options: { endpoint } }), batch)).toEqual(delivered);
  });

  it('is in no reason and no line of the log, whatever happens', async () => {
    const password = 'correct horse';
    rig.server.password = password;
    const sink = rig.sink({ options: { password, create_table: true }, timeoutMs: 300 });
    const answers: unknown[] = [];
    const message = `somebody said ${password}`;
    for (const kind of ['startup', 'inspect', 'insert'] as const) {
      const faults = [
        'drop',
        'hang',
        { error: { state: '28P01', message } },
        { late: { state: '22000', message } },
      ] as const;
      for (const fault of faults) {
        rig.server.failOnce(kind, fault);
        answers.push(await deliver(sink, batch), await sink.checkHealth?.({ signal: never }));
      }
    }
    rig.server.password = 'another one';
    rig.server.breakConnections();
    answers.push(await deliver(sink, batch), await deliver(sink, batch));
    expect(answers.at(-1)).toMatchObject({ kind: 'blocked' });
    expect(JSON.stringify(answers)).toContain('somebody said ***');
    expect(JSON.stringify(answers) + rig.logged).not.toContain(password);
  });

  it('is as long as it likes to be, and so is what the server says of it', async () => {
    rig.server.failOnce('startup', { error: { state: '28P01', message: 'x'.repeat(100_000) } });
    const answer = await deliver(rig.sink(), batch);
    expect('reason' in answer && answer.reason?.length).toBeLessThan(600);
  });
});

describe('TLS', () => {
  const endpointOf = (host: string, mode: string): string =>
    `postgres://writer@${host}:${rig.server.port}/telemetry?sslmode=${mode}`;
  const tls = { ca_file: certificateFile };

  it('is used where the endpoint or the config says so, and the certificate must be trusted', async () => {
    rig.server.tls = serverTls;
    const trusted = rig.sink({ options: { endpoint: endpointOf('localhost', 'verify-full'), tls } });
    expect(await deliver(trusted, batch)).toEqual(delivered);
    const unknown = rig.sink({ options: { endpoint: endpointOf('localhost', 'require') } });
    expect(await deliver(unknown, batch)).toMatchObject({ kind: 'blocked', reason: /certificate is not trusted/ });
    const careless = rig.sink({ options: { tls: { verify_certificate: false } } });
    expect(await deliver(careless, batch)).toEqual(delivered);
  });

  it('wants the name in the certificate to be that of the host', async () => {
    rig.server.tls = serverTls;
    expect(await deliver(rig.sink({ options: { tls } }), batch)).toMatchObject({ kind: 'blocked' });
    const unnamed = rig.sink({ options: { tls: { ...tls, verify_hostname: false } } });
    expect(await deliver(unnamed, batch)).toEqual(delivered);
    const named = rig.sink({ options: { tls: { ...tls, server_name: 'localhost' } } });
    expect(await deliver(named, batch)).toEqual(delivered);
  });

  it('is not given up because the server has none', async () => {
    const sink = rig.sink({ options: { tls } });
    expect(await deliver(sink, batch)).toMatchObject({ kind: 'blocked', reason: /does not offer TLS/ });
    expect(rig.server.startups).toEqual([]);
  });

  it.each([
    ['an error', 'E\0\0\0\x05\0'],
    ['a yes with something behind it', 'SE\0\0\0\x05\0'],
    ['something else', 'HTTP/1.1 400 Bad Request\r\n\r\n'],
  ])('does not begin with %s', async (_, answer) => {
    rig.server.tls = serverTls;
    rig.server.tlsAnswer = Buffer.from(answer, 'latin1');
    const sink = rig.sink({ options: { tls } });
    expect(await deliver(sink, batch)).toMatchObject({ kind: 'retryable', reason: /no answer to the wish for TLS/ });
    expect(rig.server.startups).toEqual([]);
  });

  it('waits no longer than it may for an answer that does not come', async () => {
    rig.server.tls = serverTls;
    rig.server.tlsAnswer = Buffer.alloc(0);
    const sink = rig.sink({ options: { tls, connect_timeout_secs: 0.1 } });
    expect(await deliver(sink, batch)).toMatchObject({ kind: 'retryable', reason: /no answer in time/ });
    await expect.poll(() => rig.server.openConnections).toBe(0);
  });

  it('with a file that is missing is blocked, and the file is named', async () => {
    const sink = rig.sink({ options: { tls: { ca_file: '/nonexistent/ca.pem' } } });
    expect(await deliver(sink, batch)).toMatchObject({ kind: 'blocked', reason: /\/nonexistent\/ca\.pem/ });
  });

  it('covers the wish to cancel, too', async () => {
    rig.server.tls = serverTls;
    rig.server.failOnce('insert', 'hang');
    const sink = rig.sink({ options: { endpoint: endpointOf('localhost', 'require'), tls }, timeoutMs: 1_500 });
    expect(await deliver(sink, batch)).toMatchObject({ kind: 'retryable' });
    await sink.close?.();
    expect(rig.server.cancelled).toEqual([1]);
    await expect.poll(() => rig.server.openConnections).toBe(0);
  });
});
