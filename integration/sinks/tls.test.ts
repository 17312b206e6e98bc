// Real servers that speak TLS, with a certificate of an authority of their own: whoever does not trust it sends them
// nothing. Redis, MQTT and syslog over TLS have tests of their own.
import { expect, type TestContext, test } from 'vitest';
import { authorityFile, serverTls } from '../../plugins/mqtt/test/certificates.ts';
import nats from '../../plugins/nats/src/index.ts';
import postgres from '../../plugins/postgres/src/index.ts';
import { certificateFile as strangerFile } from '../../plugins/postgres/test/certificates.ts';
import rabbitmq from '../../plugins/rabbitmq/src/index.ts';
import type { SinkDefinition } from '../../src/pipeline/contract/definition.ts';
import { markersIn, markersOf, sampleBatch } from '../../src/testing/index.ts';
import { startServer } from '../containers.ts';
import { freePort } from '../free-port.ts';
import { type ImageName, localImage } from '../local-images.ts';
import { NatsClient } from '../nats-client.ts';
import { PostgresClient, superuser, superuserPassword } from '../postgres-client.ts';
import { RabbitmqClient } from '../rabbitmq-client.ts';
import { needs } from '../requirements.ts';
import { createTable, table } from './postgres.ts';
import { SinkInHand } from './sink-in-hand.ts';

const timeout = 60_000;
const events = 100;
const batch = sampleBatch('logs', 1, [events]);

/** The server's own words for its files, behind what writes them. Only their owner may read a key. */
const files = `
cd /tmp && printf '%s' "$TLS_CERTIFICATE" > server.pem && printf '%s' "$TLS_KEY" > server.key
chmod 600 server.key`;
const environment = { TLS_CERTIFICATE: serverTls.cert, TLS_KEY: serverTls.key };

function check(name: string, image: ImageName, run: (image: string) => Promise<void>): void {
  test(name, { timeout }, async (context: TestContext) => {
    const reason = needs('linux', 'docker', `${image}-image`);
    if (reason !== undefined) return context.skip(reason);
    await run(localImage(image) as string);
  });
}

/** A sink that trusts nobody of its own, one that trusts somebody else, and one that trusts the right authority. */
async function expectTrustDecides(
  definition: SinkDefinition,
  options: Readonly<Record<string, unknown>>,
): Promise<void> {
  const untrusted = { kind: 'blocked', reason: expect.stringContaining('the certificate is not trusted') };
  for (const tls of [{}, { ca_file: strangerFile }]) {
    await using distrustful = new SinkInHand(definition, { ...options, tls });
    expect(await distrustful.deliver(batch)).toMatchObject(untrusted);
  }
  await using trusting = new SinkInHand(definition, { ...options, tls: { ca_file: authorityFile } });
  expect(await trusting.deliver(batch)).toEqual({ kind: 'delivered' });
}

check('PostgreSQL over TLS, with an authority of its own', 'postgres', async (image) => {
  const ssl = ['ssl=on', 'ssl_cert_file=/tmp/server.pem', 'ssl_key_file=/tmp/server.key'].map((one) => `-c ${one}`);
  await using server = await startServer({
    image,
    port: 5432,
    entrypoint: ['bash', '-c', `${files} && chown postgres server.key && exec postgres-entry ${ssl.join(' ')}`],
    command: [],
    environment: { ...environment, POSTGRES_PASSWORD: superuserPassword },
  });
  const client = new PostgresClient(server.port);
  await client.run(
    createTable(),
    // Every row says how it came.
    `ALTER TABLE ${table} ADD COLUMN is_encrypted boolean`,
    `CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      NEW.is_encrypted = (SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()); RETURN NEW; END $$`,
    `CREATE TRIGGER note BEFORE INSERT ON ${table} FOR EACH ROW EXECUTE FUNCTION note()`,
  );
  const endpoint = `postgres://${superuser}@127.0.0.1:${server.port}/postgres`;
  await expectTrustDecides(postgres, { endpoint, password: superuserPassword, table });
  const rows = await client.run(`SELECT event FROM ${table} WHERE is_encrypted ORDER BY epoch, id`);
  expect(rows.flatMap(([event]) => markersIn(event ?? ''))).toEqual(markersOf(1, events));
});

check('NATS over TLS, with an authority of its own', 'nats', async (image) => {
  const tls = 'tls { cert_file: /tmp/server.pem, key_file: /tmp/server.key }';
  await using server = await startServer({
    image,
    port: 4222,
    entrypoint: [
      ...['bash', '-c', `${files} && echo '${tls}' | cat /etc/nats/durable.conf - > c && exec nats-server --config c`],
    ],
    command: [],
    environment,
  });
  const place = { ports: [server.port], how: { tls: { caFile: authorityFile } } };
  await NatsClient.create(place, { name: 'numbers', subjects: ['numbers.>'] });
  await expectTrustDecides(nats, { url: `nats://127.0.0.1:${server.port}`, subject: 'numbers.{signal}' });
  expect((await NatsClient.messages(place, 'numbers')).flatMap(markersIn)).toEqual(markersOf(1, events));
});

check('RabbitMQ over TLS, with an authority of its own', 'rabbitmq', async (image) => {
  // Beside TLS for the sink, in the clear for the test.
  const plainPort = await freePort();
  const config = [
    `listeners.tcp.default = ${plainPort}`,
    'listeners.ssl.default = 5671',
    'ssl_options.certfile = /tmp/server.pem',
    'ssl_options.keyfile = /tmp/server.key',
  ].join('\n');
  const write = `printf '%s\n' '${config}' > /etc/rabbitmq/conf.d/20-tls.conf`;
  await using server = await startServer({
    image,
    port: 5671,
    samePorts: [plainPort],
    entrypoint: ['bash', '-c', `${files} && chown rabbitmq server.key && ${write} && exec rabbitmq-entry`],
    command: [],
    environment,
    ready: /Server startup complete/,
  });
  const connection = { connection_string: `amqps://guest:guest@127.0.0.1:${server.port}` };
  await expectTrustDecides(rabbitmq, { ...connection, queue: 'numbers', declare: {} });
  const client = new RabbitmqClient(`amqp://guest:guest@127.0.0.1:${plainPort}`);
  const bodies = await client.takeAll('numbers');
  expect(bodies.flatMap((body) => markersIn(body.toString()))).toEqual(markersOf(1, events));
});
