// Redis Cluster as a sink: three masters, a replica each, and one stream on whichever node has its slot.
//
// All six nodes live in one container and announce ports that are the same on this machine, so the faults of the shared
// tests take the whole cluster. `takeDown()` and `bringBack()` are about one node alone.
import { runIn, type StartedServer } from '../containers.ts';
import { numbersIn } from '../number-load.ts';
import { RedisClient } from '../redis-client.ts';
import { until } from '../until.ts';
import { startNodes } from './server-nodes.ts';
import type { SinkSubject, StartedSubject } from './sink-subject.ts';

const nodeCount = 6;
const password = 'right-password';
const otherPassword = 'other-password';
const stream = 'numbers';
/** After a start a node waits a while before it takes part. */
const readyMsMax = 20_000;

export const redisCluster: SinkSubject = {
  name: 'Redis Cluster',
  plugin: 'spillway-redis',
  images: ['redis'],
  keepsOrder: true,
  repeats: 'none',
  acknowledgement:
    'The master has written the entry to its append-only file and synced that, and a replica has confirmed it.',
  setUp:
    'three masters with a replica each, `appendonly yes`, `appendfsync always`, and `wait_replicas: 1` at the sink',
  repeatsBecause:
    "The id of an entry is its event's key, and a stream takes no id that is not greater than its last one.",
  caveats: [
    'Replication is asynchronous: without `wait_replicas` a fail-over may lose what the replica did not have yet. ' +
      'With it, Redis still promises no more than to try: it chooses the replica that is most advanced.',
    'While a replica is missing, `wait_replicas` holds everything back, on the disk.',
  ],
  start: async () => await RedisNodes.start(),
};

export class RedisNodes implements StartedSubject {
  readonly server: StartedServer;
  readonly version: string;
  readonly #ports: readonly number[];

  private constructor(server: StartedServer, ports: readonly number[], version: string) {
    this.server = server;
    this.version = version;
    this.#ports = ports;
  }

  static async start(): Promise<RedisNodes> {
    const { server, ports } = await startNodes({
      image: 'redis',
      count: nodeCount,
      script: 'redis-cluster-nodes.sh',
      settings: `PASSWORD=${password}`,
      ready: /the cluster is ready/,
    });
    const [about] = await RedisClient.send({ port: ports[0] as number, password }, ['INFO', 'server']);
    return new RedisNodes(server, ports, /^redis_version:(\S+)/m.exec(String(about))?.[1] ?? 'unknown');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
  }

  get sink(): StartedSubject['sink'] {
    const [first, ...others] = this.#ports;
    return {
      type: 'redis',
      url: `redis://127.0.0.1:${first}`,
      cluster: true,
      nodes: others.map((port) => `127.0.0.1:${port}`),
      password,
      stream,
      wait_replicas: 1,
      connect_timeout_secs: 1,
    };
  }

  async answers(): Promise<boolean> {
    const place = await this.place().catch(() => undefined);
    return place !== undefined && (await RedisClient.answers(place));
  }

  async numbers(): Promise<readonly number[]> {
    const entries = await RedisClient.entries(await this.place(), stream);
    return entries.flatMap(({ data }) => numbersIn(data));
  }

  /** The port of the master that has the stream, by the first node that says so. */
  async master(): Promise<number> {
    return await Promise.any(this.#ports.map((port) => masterBy(port)));
  }

  /** Where the stream is. */
  async place(): Promise<{ readonly port: number; readonly password: string }> {
    return { port: await this.master(), password };
  }

  /** Waits until the node with the stream takes part in a cluster that is whole, and has its replica. */
  async ready(): Promise<void> {
    const ask = async () => {
      const said = await this.#asked(['CLUSTER', 'INFO'], ['INFO', 'replication']);
      if (/cluster_state:ok.*state=online/s.test(said.map(String).join())) return true;
      throw new Error(said.join('\n'));
    };
    await until('the cluster is whole', ask, readyMsMax);
  }

  /** Kills the process of one node. It stays down until it is brought back. */
  async takeDown(port: number): Promise<void> {
    const [about] = await RedisClient.send({ port, password }, ['INFO', 'server']);
    const id = /^process_id:(\d+)/m.exec(String(about))?.[1];
    await runIn(this.server, 'bash', '-c', `touch /data/${port}/down && kill -9 ${id}`);
  }

  async bringBack(port: number): Promise<void> {
    await runIn(this.server, 'rm', `/data/${port}/down`);
  }

  readonly wrongPassword = {
    begin: async (): Promise<void> => {
      const throwOut = ['CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes'];
      await this.#everywhere(password, ...passwords(otherPassword), throwOut);
    },
    end: async (): Promise<void> => {
      await this.#everywhere(otherPassword, ...passwords(password));
    },
  };

  readonly starvation = {
    what: '`maxmemory` of every node below what it has, `noeviction`',
    begin: async (): Promise<void> => await this.#everywhere(password, ['CONFIG', 'SET', 'maxmemory', '1mb']),
    end: async (): Promise<void> => await this.#everywhere(password, ['CONFIG', 'SET', 'maxmemory', '0']),
  };

  async #asked(...commands: readonly (readonly string[])[]): Promise<unknown[]> {
    return await RedisClient.send(await this.place(), ...commands);
  }

  async #everywhere(secret: string, ...commands: readonly (readonly string[])[]): Promise<void> {
    await Promise.all(this.#ports.map((port) => RedisClient.send({ port, password: secret }, ...commands)));
  }
}

async function masterBy(port: number): Promise<number> {
  const asked = await RedisClient.send({ port, password }, ['CLUSTER', 'KEYSLOT', stream], ['CLUSTER', 'SLOTS']);
  const [slot, ranges] = asked as [number, [first: number, last: number, master: [host: string, port: number]][]];
  const range = ranges.find(([first, last]) => first <= slot && slot <= last);
  if (range === undefined) throw new Error(`no node has slot ${slot}`);
  return range[2][1];
}

/** Replicas know their master's, too. */
function passwords(next: string): readonly (readonly string[])[] {
  return ['masterauth', 'requirepass'].map((setting) => ['CONFIG', 'SET', setting, next]);
}
