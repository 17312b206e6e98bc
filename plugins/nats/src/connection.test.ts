// What a connection does with servers that are strange, slow or hostile, with TLS and with credentials; and that it
// leaves nothing behind.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { createUser, fromPublic } from '@nats-io/nkeys';
import { realWorld, sampleBatch } from 'spillway/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { deliver, deliveredAnswer, isEvent, never, SinkRig } from '../test/sink-rig.ts';

const tlsFolder = new URL('../../../test/fixtures/tls/', import.meta.url);
const certificateFile = fileURLToPath(new URL('certificate.pem', tlsFolder));
const certificate = readFileSync(certificateFile, 'utf8');
const key = readFileSync(new URL('key.pem', tlsFolder), 'utf8');

let rig: SinkRig;

beforeEach(async () => {
  rig = await SinkRig.start();
});

afterEach(async () => {
  await rig[Symbol.asyncDispose]();
});

const batch = sampleBatch('logs', 1, [2]);

describe('a server', () => {
  it.each([
    ['nothing of the protocol', 'HTTP/1.1 400 Bad Request\r\n\r\n', /does not speak NATS/],
    ['INFO that is no JSON', 'INFO {{{\r\n', /who it is/],
    ['a line without an end', 'INFO '.padEnd(2 * 1024 * 1024, 'x'), /a line has more than/],
    ['that it is too old', 'INFO {"version":"2.1.0"}\r\n', /too old/],
  ])('that says %s is an answer', async (_, greeting, reason) => {
    rig.server.greeting = greeting;
    const answer = await deliver(rig.sink(), batch);
    expect(answer.kind).toMatch(/retryable|blocked/);
    expect(answer).toMatchObject({ reason: expect.stringMatching(reason) });
    await expect.poll(() => rig.server.openConnections).toBe(0);
  });

  it.each([
    ['nothing', ''],
    ['half a greeting', 'INFO {"ver'],
  ])('that says %s is given up after the time-out, and its socket is closed', async (_, greeting) => {
    rig.server.greeting = greeting;
    const sink = rig.sink({ options: { connect_timeout_secs: 0.1 } });
    expect(await deliver(sink, batch)).toMatchObject({ kind: 'retryable', reason: /no answer in time.*connecting/ });
    await expect.poll(() => rig.server.openConnections).toBe(0);
  });

  it('that is connected to when nobody waits any more is left', async () => {
    rig.server.greeting = '';
    const stop = new AbortController();
    const answer = rig.sink().deliver(batch, { signal: stop.signal });
    await expect.poll(() => rig.server.openConnections).toBe(1);
    stop.abort();
    expect(await answer).toMatchObject({ kind: 'retryable', reason: /given up/ });
    await expect.poll(() => rig.server.openConnections).toBe(0);
  });

  it.each([
    ['garbage', '\u0000\u0001 garbage\r\n'],
    ['a message without lengths', 'MSG a\r\n'],
    ['a message of a length that nobody has', 'MSG a 1 999999999\r\n'],
    ['a message with headers longer than itself', 'HMSG a 1 20 10\r\n'],
    ['a message that goes on', 'MSG a 1 2\r\nabcdefgh\r\n'],
  ])('that goes on with %s loses its connection, and the next one serves', async (_, bytes) => {
    const sink = rig.sink();
    rig.server.failOnce(isEvent, 'hold');
    const answer = deliver(sink, batch);
    await expect.poll(() => rig.server.commands.some(isEvent)).toBe(true);
    rig.server.say(bytes);
    expect(await answer).toMatchObject({ kind: 'retryable', reason: /damaged/ });
    expect(await deliver(sink, batch)).toEqual(deliveredAnswer);
  });

  it.each([
    ['no JSON', 'nonsense'],
    ['something else', '[1,2]'],
    ['an error that says nothing', '{"error":{}}'],
    ['a sequence that is none', '{"stream":"telemetry","seq":"12"}'],
  ])('that acknowledges with %s has not acknowledged', async (_, said) => {
    const sink = rig.sink({ timeoutMs: 1_000 });
    rig.server.failOnce(isEvent, { say: JSON.parse(said.startsWith('n') ? '"nonsense"' : said) });
    expect((await deliver(sink, batch)).kind).toBe('retryable');
    expect(await deliver(sink, batch)).toEqual(deliveredAnswer);
    expect(rig.stream.messages).toHaveLength(2);
  });

  it('that answers what nobody has asked is not heard', async () => {
    const sink = rig.sink();
    await deliver(sink, batch);
    rig.server.say('MSG _INBOX.other.1 1 2\r\n{}\r\n+OK\r\nPING\r\n');
    expect(await deliver(sink, sampleBatch('logs', 3, [1]))).toEqual(deliveredAnswer);
    await expect.poll(() => rig.server.commands.some(({ verb }) => verb === 'PONG')).toBe(true);
  });

  it('whose answers come in pieces is understood', async () => {
    const sink = rig.sink();
    const info = JSON.stringify({ version: '2.15.2', headers: true, max_payload: 1_048_576 });
    rig.server.greeting = 'IN';
    const answer = deliver(sink, batch);
    await expect.poll(() => rig.server.openConnections).toBe(1);
    for (const piece of ['FO ', info.slice(0, 9), info.slice(9), '\r', '\n']) {
      rig.server.say(piece);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await answer).toEqual(deliveredAnswer);
  });
});

describe('TLS', () => {
  it('is used where the server asks for it, and its certificate has to be trusted', async () => {
    rig.server.tls = { cert: certificate, key };
    const blocked = { kind: 'blocked', reason: expect.stringMatching(/certificate/) };
    expect(await deliver(rig.sink(), batch)).toMatchObject(blocked);
    const trusting = rig.sink({ options: { tls: { ca_file: certificateFile, verify_hostname: false } } });
    expect(await deliver(trusting, batch)).toEqual(deliveredAnswer);
    expect(await deliver(rig.sink({ options: { tls: { verify_certificate: false } } }), batch)).toEqual(
      deliveredAnswer,
    );
  });

  it.each([
    ['the url', (url: string) => ({ url: url.replace('nats:', 'tls:') })],
    ['the options', () => ({ tls: {} })],
  ])('that %s asks for is not done without', async (_, options) => {
    const sink = rig.sink({ options: options(rig.server.url) });
    expect(await deliver(sink, batch)).toMatchObject({ kind: 'blocked', reason: expect.stringMatching(/TLS/) });
    expect(rig.server.commands).toEqual([]);
  });

  it('does not begin behind words that nobody has protected', async () => {
    rig.server.tls = { cert: certificate, key };
    rig.server.greeting = 'INFO {"version":"2","headers":true,"tls_required":true}\r\nMSG a 1 10\r\n';
    const sink = rig.sink({ options: { tls: { verify_certificate: false } } });
    expect(await deliver(sink, batch)).toMatchObject({ kind: 'retryable', reason: /before TLS/ });
  });

  it('whose files are missing is a reason with the name of the file', async () => {
    rig.server.tls = { cert: certificate, key };
    const answer = await deliver(rig.sink({ options: { tls: { ca_file: '/none/ca.pem' } } }), batch);
    expect(answer).toMatchObject({ kind: 'blocked', reason: expect.stringContaining('/none/ca.pem') });
  });
});

describe('credentials', () => {
  const password = 'pa$$:word@%';

  it.each([
    ['options', () => ({ auth: { strategy: 'user_password', user_password: { user: 'me', password } } })],
    ['url', (url: string) => ({ url: url.replace('//', `//me:${encodeURIComponent(password)}@`) })],
  ])('from the %s: user and password', async (_, options) => {
    rig.server.credentials = { user: 'me', pass: password };
    expect(await deliver(rig.sink({ options: options(rig.server.url) }), batch)).toEqual(deliveredAnswer);
  });

  it.each([
    ['options', () => ({ auth: { strategy: 'token', token: { value: 'secret-token' } } })],
    ['url', (url: string) => ({ url: url.replace('//', '//secret-token@') })],
    ['url, encoded,', (url: string) => ({ url: url.replace('//', '//secret%2Dtoken@') })],
  ])('from the %s: a token', async (_, options) => {
    rig.server.credentials = { auth_token: 'secret-token' };
    expect(await deliver(rig.sink({ options: options(rig.server.url) }), batch)).toEqual(deliveredAnswer);
  });

  it('from the url stand for themselves where a percent sign begins no code', async () => {
    rig.server.credentials = { user: '100%', pass: '%zz' };
    const options = { url: rig.server.url.replace('//', '//100%:%zz@') };
    expect(await deliver(rig.sink({ options }), batch)).toEqual(deliveredAnswer);
  });

  it.each(['nkey', 'credentials_file'])('%s sign what the server asks', async (strategy) => {
    const user = createUser();
    const seed = Buffer.from(user.getSeed()).toString();
    rig.server.info = { nonce: 'nonce-1' };
    const files = realWorld().files;
    const path = `/creds-${strategy}`;
    const text = `-----BEGIN NATS USER JWT-----\nthe.jwt\n------END NATS USER JWT------\n
-----BEGIN USER NKEY SEED-----\n${seed}\n------END USER NKEY SEED------\n`;
    const world = { ...realWorld(), files: Object.assign(Object.create(files), { readText: async () => text }) };
    const auth = { strategy, nkey: { seed, nkey: user.getPublicKey() }, credentials_file: { path } };
    const sink = rig.sink({ options: { auth } }, { ...rig.contextOf(), world });
    expect(await deliver(sink, batch)).toEqual(deliveredAnswer);
    const { sig, nkey, jwt } = rig.server.hello as Record<string, string>;
    expect(strategy === 'nkey' ? nkey : jwt).toBe(strategy === 'nkey' ? user.getPublicKey() : 'the.jwt');
    const isSigned = fromPublic(user.getPublicKey()).verify(
      Buffer.from('nonce-1'),
      Buffer.from(sig ?? '', 'base64url'),
    );
    expect(isSigned).toBe(true);
  });

  it.each([
    ['a file that is missing', { strategy: 'credentials_file', credentials_file: { path: '/none' } }, /cannot be read/],
    [
      'a file without them',
      { strategy: 'credentials_file', credentials_file: { path: certificateFile } },
      /should hold/,
    ],
  ])('that are %s are blocked', async (_, auth, reason) => {
    const answer = await deliver(rig.sink({ options: { auth } }), batch);
    expect(answer).toMatchObject({ kind: 'blocked', reason: expect.stringMatching(reason) });
    expect(JSON.stringify(answer)).not.toContain('secret');
  });

  it('that are wrong are blocked until they are right, and shown nowhere', async () => {
    rig.server.credentials = { user: 'me', pass: 'right' };
    const said: unknown[] = [];
    for (const options of [
      { auth: { strategy: 'user_password', user_password: { user: 'me', password: 'wr0ng-secret' } } },
      { auth: { strategy: 'token', token: { value: 'wr0ng-secret' } } },
      { url: rig.server.url.replace('//', '//me:wr0ng-secret@') },
      { url: 'nats://me:wr0ng-secret@127.0.0.1:1' },
    ]) {
      const context = rig.contextOf();
      const sink = rig.sink({ options }, context);
      said.push(await deliver(sink, batch), await sink.checkHealth?.({ signal: never }), context.log.lines);
    }
    expect(said[0]).toMatchObject({ kind: 'blocked', reason: expect.stringMatching(/Authorization Violation/) });
    expect(said[1]).toMatchObject({ kind: 'blocked' });
    expect(JSON.stringify(said)).not.toContain('wr0ng');
    const right = rig.sink({ options: { url: rig.server.url.replace('//', '//me:right@') } });
    expect(await deliver(right, batch)).toEqual(deliveredAnswer);
  });
});

describe('close', () => {
  it('ends who waits, and leaves no socket', async () => {
    const sink = rig.sink();
    await deliver(sink, batch);
    rig.server.fault = () => 'hang';
    const answer = deliver(sink, sampleBatch('logs', 3, [1]));
    await expect.poll(() => rig.server.commands.filter(isEvent).length).toBe(3);
    await sink.close?.();
    expect(await answer).toMatchObject({ kind: 'retryable' });
    await expect.poll(() => rig.server.openConnections).toBe(0);
  });

  it('while it connects leaves no socket', async () => {
    rig.server.greeting = '';
    const sink = rig.sink({ options: { connect_timeout_secs: 0.2 } });
    const answer = deliver(sink, batch);
    await expect.poll(() => rig.server.openConnections).toBe(1);
    await sink.close?.();
    expect(await answer).toMatchObject({ kind: 'retryable' });
    await expect.poll(() => rig.server.openConnections).toBe(0);
  });
});
