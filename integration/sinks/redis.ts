// Redis as a sink: streams, whose entries have the events' keys for ids.
//
// `appendfsync always`: what Redis has confirmed it finds again after a kill, which is its part of the promise.
import { startServer } from '../containers.ts';
import { localImage } from '../local-images.ts';
import { numbersIn } from '../number-load.ts';
import { RedisClient } from '../redis-client.ts';
import type { SinkSubject, StartedSubject } from './sink-subject.ts';

const port = 6379;
const password = 'right-password';
const otherPassword = 'other-password';
const stream = 'numbers';
const durable = ['--appendonly', 'yes', '--appendfsync', 'always'];

export const redisStreams: SinkSubject = {
  name: 'Redis Streams',
  plugin: 'spillway-redis',
  images: ['redis'],
  keepsOrder: true,
  repeats: 'none',
  acknowledgement: 'Redis has written the entry to its append-only file and synced that.',
  setUp: '`appendonly yes`, `appendfsync always`',
  repeatsBecause:
    "The id of an entry is its event's key, and a stream takes no id that is not greater than its last one.",
  start,
};

async function start(): Promise<StartedSubject> {
  const image = localImage('redis');
  if (image === undefined) throw new Error('no image: see requirements.ts');
  const server = await startServer({ image, port, command: [...durable, '--requirepass', password] });
  const place = { port: server.port, password };
  const [about] = await RedisClient.send(place, ['INFO', 'server']);
  return {
    server,
    version: /^redis_version:(\S+)/m.exec(String(about))?.[1] ?? 'unknown',
    sink: { type: 'redis', url: `redis://127.0.0.1:${server.port}`, password, stream, connect_timeout_secs: 1 },
    answers: () => RedisClient.answers(place),
    async numbers() {
      const entries = await RedisClient.entries(place, stream);
      return entries.flatMap(({ data }) => numbersIn(data));
    },
    wrongPassword: {
      async begin() {
        const throwOut = ['CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes'];
        await RedisClient.send(place, ['CONFIG', 'SET', 'requirepass', otherPassword], throwOut);
      },
      async end() {
        await RedisClient.send({ ...place, password: otherPassword }, ['CONFIG', 'SET', 'requirepass', password]);
      },
    },
    starvation: {
      what: '`maxmemory` below what it has, `noeviction`',
      async begin() {
        await RedisClient.send(place, ['CONFIG', 'SET', 'maxmemory', '1mb']);
      },
      async end() {
        await RedisClient.send(place, ['CONFIG', 'SET', 'maxmemory', '0']);
      },
    },
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
    },
  };
}
