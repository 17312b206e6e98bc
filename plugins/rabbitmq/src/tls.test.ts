import { markersIn, markersOf, realWorld, sampleBatch, testSinkContext } from 'spillway/testing';
import { describe, expect, it } from 'vitest';
import { certificateFile, keyFile, serverTls } from '../test/certificates.ts';
import { RabbitmqDouble } from '../test/rabbitmq-double.ts';
import definition from './index.ts';

async function deliverTo(server: RabbitmqDouble, given: object, host = '127.0.0.1'): Promise<unknown> {
  server.queue('events');
  const options = { connection_string: `amqps://${host}:${server.port}`, queue: 'events', ...given };
  const context = testSinkContext({ world: realWorld(), timeoutMs: 5_000 });
  const sink = await definition.create(definition.schema.parse(options) as never, context);
  try {
    return await sink.deliver(sampleBatch('logs', 1, [2]), { signal: new AbortController().signal });
  } finally {
    await sink.close?.();
  }
}

const markers = (server: RabbitmqDouble): string[] => server.queue('events').flatMap(({ body }) => markersIn(body));

describe('over TLS', () => {
  it.each(['127.0.0.1', 'localhost'])('a server at %s that is trusted gets the messages', async (host) => {
    const server = await RabbitmqDouble.start(serverTls);
    expect(await deliverTo(server, { tls: { ca_file: certificateFile } }, host)).toEqual({ kind: 'delivered' });
    expect(markers(server)).toEqual(markersOf(1, 2));
    await server.stop();
  });

  it.each([
    ['a certificate that is not trusted', {}, /not trusted/],
    ['a file that is not there', { tls: { ca_file: '/nonexistent/ca.pem' } }, /\/nonexistent\/ca\.pem/],
    [
      'a file that is no certificate',
      { tls: { ca_file: certificateFile, crt_file: keyFile, key_file: keyFile } },
      /TLS|ERR_OSSL|certificate/,
    ],
  ])('%s is blocked, and no login is sent', async (_, given, reason) => {
    const server = await RabbitmqDouble.start(serverTls);
    expect(await deliverTo(server, given)).toEqual({ kind: 'blocked', reason: expect.stringMatching(reason) });
    expect(server.logins).toEqual([]);
    await server.stop();
  });

  it('auth: external shows a certificate instead of a password', async () => {
    const server = await RabbitmqDouble.start({ ...serverTls, requestCert: true, ca: serverTls.cert });
    server.mechanisms = 'PLAIN EXTERNAL';
    const tls = { ca_file: certificateFile, crt_file: certificateFile, key_file: keyFile };
    expect(await deliverTo(server, { auth: 'external', tls })).toEqual({ kind: 'delivered' });
    expect(server.logins).toEqual(['EXTERNAL ']);
    await server.stop();
  });
});
