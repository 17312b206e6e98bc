// Redis as a sink: streams, whose entries have the events' keys for ids, and lists, which tell nothing apart.
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
const key = 'numbers';

/** What every Redis is started with that has to keep its word over a kill. */
export const durableRedis: readonly string[] = ['--appendonly', 'yes', '--appendfsync', 'always'];

const setUp = '`appendonly yes`, `appendfsync always`';

export const redisStreams: SinkSubject = {
  name: 'Redis Streams',
  plugin: 'spillway-redis',
  images: ['redis'],
  keepsOrder: true,
  repeats: 'none',
  runsOutOfMemory: true,
  acknowledgement: 'Redis has written the entry to its append-only file and synced that.',
  setUp,
  repeatsBecause:
    "The id of an entry is its event's key, and a stream takes no id that is not greater than its last one.",
  start: () =>
    start({ stream: key }, async (place) =>
      (await RedisClient.entries(place, key)).flatMap(({ data }) => numbersIn(data)),
    ),
};

export const redisLists: SinkSubject = {
  name: 'Redis lists',
  plugin: 'spillway-redis',
  images: ['redis'],
  keepsOrder: true,
  repeats: 'possible',
  acknowledgement: 'Redis has written the element to its append-only file and synced that.',
  setUp,
  repeatsBecause:
    'A list knows nothing of what was in it: a batch whose answer was lost is pushed again, as a whole. Each element ' +
    'holds its key, by which a reader can tell.',
  start: () =>
    start({ key, data_type: 'list' }, async (place) => (await RedisClient.elements(place, key)).flatMap(numbersIn)),
};

type Numbers = (place: { readonly port: number; readonly password: string }) => Promise<readonly number[]>;

async function start(own: StartedSubject['sink'], numbers: Numbers): Promise<StartedSubject> {
  const image = localImage('redis');
  if (image === undefined) throw new Error('no image: see requirements.ts');
  const server = await startServer({ image, port, command: [...durableRedis, '--requirepass', password] });
  const place = { port: server.port, password };
  const [about] = await RedisClient.send(place, ['INFO', 'server']);
  return {
    server,
    version: /^redis_version:(\S+)/m.exec(String(about))?.[1] ?? 'unknown',
    sink: { type: 'redis', url: `redis://127.0.0.1:${server.port}`, password, ...own, connect_timeout_secs: 1 },
    answers: () => RedisClient.answers(place),
    numbers: () => numbers(place),
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
