// Who may publish to a real NATS server: whoever has the seed of a key, or a `.creds` file of an account that its
// operator knows. Anybody else is blocked, and the file that is put right is found at the next try.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { credsAuthenticator, nkeyAuthenticator, nkeys } from '@nats-io/transport-node';
import { expect, test } from 'vitest';
import definition from '../../plugins/nats/src/index.ts';
import { markersIn, markersOf, sampleBatch } from '../../src/testing/index.ts';
import { type StartedServer, startServer } from '../containers.ts';
import { localImage } from '../local-images.ts';
import { NatsClient, type NatsPlace } from '../nats-client.ts';
import { NatsOperator, seedOf } from '../nats-operator.ts';
import { needs } from '../requirements.ts';
import { SinkInHand } from './sink-in-hand.ts';

const timeout = 60_000;
const events = 100;
const batch = sampleBatch('logs', 1, [events]);
const stream = 'numbers';
const delivered = { kind: 'delivered' };
const reason = needs('linux', 'docker', 'nats-image');

async function start(config: string): Promise<StartedServer> {
  const write = 'printf "%s" "$ACCESS" | cat /etc/nats/durable.conf - > /tmp/server.conf';
  return await startServer({
    image: localImage('nats') as string,
    port: 4222,
    entrypoint: ['bash', '-c', `${write} && exec nats-server --config /tmp/server.conf`],
    command: [],
    environment: { ACCESS: config },
  });
}

function sinkTo({ port }: StartedServer, auth: Readonly<Record<string, unknown>>): SinkInHand {
  return new SinkInHand(definition, { url: `nats://127.0.0.1:${port}`, subject: `${stream}.{signal}`, auth });
}

async function expectAll(place: NatsPlace): Promise<void> {
  expect((await NatsClient.messages(place, stream)).flatMap(markersIn)).toEqual(markersOf(1, events));
}

test('NATS, a key whose owner may publish, and one of somebody else', { timeout }, async (context) => {
  if (reason !== undefined) return context.skip(reason);
  const [key, other] = [nkeys.createUser(), nkeys.createUser()];
  await using server = await start(`authorization { users: [ { nkey: ${key.getPublicKey()} } ] }`);
  const place = { ports: [server.port], how: { authenticator: nkeyAuthenticator(key.getSeed()) } };
  await NatsClient.create(place, { name: stream, subjects: [`${stream}.>`] });
  await using stranger = sinkTo(server, { strategy: 'nkey', nkey: { seed: seedOf(other) } });
  const answer = await stranger.deliver(batch);
  expect(answer).toMatchObject({ kind: 'blocked', reason: expect.stringMatching(/authorization/i) });
  expect(JSON.stringify(answer)).not.toContain(seedOf(other));
  await using sink = sinkTo(server, { strategy: 'nkey', nkey: { seed: seedOf(key), nkey: key.getPublicKey() } });
  expect(await sink.deliver(batch)).toEqual(delivered);
  await expectAll(place);
});

test('NATS, a .creds file of a user whose account the server knows, in the place of one of a stranger', {
  timeout,
}, async (context) => {
  if (reason !== undefined) return context.skip(reason);
  const [operator, stranger] = [new NatsOperator(), new NatsOperator()];
  await using server = await start(operator.config);
  const authenticator = credsAuthenticator(Buffer.from(operator.credentials()));
  const place = { ports: [server.port], how: { authenticator } };
  await NatsClient.create(place, { name: stream, subjects: [`${stream}.>`] });
  const folder = mkdtempSync(join(tmpdir(), 'spillway-creds-'));
  try {
    const path = join(folder, 'user.creds');
    writeFileSync(path, stranger.credentials());
    await using sink = sinkTo(server, { strategy: 'credentials_file', credentials_file: { path } });
    expect(await sink.deliver(batch)).toMatchObject({
      kind: 'blocked',
      reason: expect.stringMatching(/authorization/i),
    });
    writeFileSync(path, operator.credentials());
    expect(await sink.deliver(batch)).toEqual(delivered);
  } finally {
    rmSync(folder, { recursive: true });
  }
  await expectAll(place);
});
