// NATS JetStream as a sink: one stream, which belongs to the pipeline alone.
//
// Its window for duplicates is the least that a server allows, 100 ms: every fault here lasts longer, so that nothing
// but the chain of messages keeps repeats out. `sync_interval: always`: what is acknowledged is on the disk.
import { runIn, startServer } from '../containers.ts';
import { localImage } from '../local-images.ts';
import { NatsClient, type NatsPlace } from '../nats-client.ts';
import { numbersIn } from '../number-load.ts';
import type { SinkSubject, StartedSubject } from './sink-subject.ts';

const port = 4222;
const user = 'pipeline';
const password = 'right-password';
const otherPassword = 'other-password';
export const numbersStream = 'numbers';
/** What a stream may still take when it is starved. */
const leftBytes = 10_000;

/** Written once, so that a changed password outlives a restart. */
const script = `
[ -e /data/server.conf ] || cat /etc/nats/durable.conf - > /data/server.conf <<'END'
authorization { user: ${user}, password: ${password} }
END
exec nats-server --config /data/server.conf`;

export const natsJetStream: SinkSubject = {
  name: 'NATS JetStream',
  plugin: 'spillway-nats',
  images: ['nats'],
  keepsOrder: true,
  repeats: 'none',
  runsOutOfMemory: true,
  acknowledgement: 'The stream has the message on its disk; with replicas, most of them have it.',
  setUp: '`sync_interval: always`, a stream with file storage and a `duplicate_window` of 100 ms',
  repeatsBecause:
    'Every message names the number and the id of the one before it, so the last message of the stream says what was ' +
    "delivered, however long ago. The server's own window for duplicates is not what this rests on.",
  caveats: [
    'The stream belongs to one sink. If somebody else writes into it, the pipeline ends with `SPILLWAY_CONFIG_OWNER`.',
    'Where retention or a purge has removed the last messages, those whose acknowledgement was lost can come twice.',
  ],
  start,
};

export async function start(): Promise<StartedSubject & { readonly place: NatsPlace }> {
  const image = localImage('nats');
  if (image === undefined) throw new Error('no image: see requirements.ts');
  const server = await startServer({ image, port, entrypoint: ['bash', '-c', script], command: [] });
  const place = { ports: [server.port], user, password };
  await NatsClient.create(place, {
    ...{ name: numbersStream, subjects: [`${numbersStream}.>`], discard: 'new', duplicate_window: 100e6 },
  });
  const changePassword = async (from: string, to: string): Promise<void> => {
    const command = `sed -i s/${from}/${to}/ /data/server.conf && nats-server --signal reload=1`;
    await runIn(server, 'bash', '-c', command);
  };
  return {
    server,
    place,
    version: await NatsClient.version(place),
    sink: {
      type: 'nats',
      url: `nats://127.0.0.1:${server.port}`,
      auth: { strategy: 'user_password', user_password: { user, password } },
      subject: `${numbersStream}.{signal}`,
      connect_timeout_secs: 1,
    },
    answers: () => NatsClient.answers(place),
    numbers: async () => (await NatsClient.messages(place, numbersStream)).flatMap(numbersIn),
    wrongPassword: {
      begin: () => changePassword(password, otherPassword),
      end: () => changePassword(otherPassword, password),
    },
    starvation: {
      what: '`max_bytes` of the stream little above what it has, `discard: new`',
      async begin() {
        const { bytes } = await NatsClient.stream(place, numbersStream);
        await NatsClient.update(place, numbersStream, { max_bytes: bytes + leftBytes });
      },
      async end() {
        await NatsClient.update(place, numbersStream, { max_bytes: -1 });
      },
    },
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
    },
  };
}
