// A NATS cluster of three servers with one stream on all of them. They live in one container, so that one can be killed
// while the others go on.
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { type StartedServer, startServer } from '../containers.ts';
import { freePort } from '../free-port.ts';
import { localImage } from '../local-images.ts';
import { NatsClient, type NatsPlace, type StreamNow } from '../nats-client.ts';
import { numbersIn } from '../number-load.ts';
import { numbersStream } from './nats.ts';
import type { StartedSubject } from './sink-subject.ts';

const nodeCount = 3;
/** Elections take a few seconds. */
const readyMsMax = 40_000;
const script = readFileSync(new URL('nats-cluster-nodes.sh', import.meta.url), 'utf8');

export class NatsNodes implements StartedSubject {
  readonly server: StartedServer;
  readonly version: string;
  readonly #place: NatsPlace;

  private constructor(server: StartedServer, place: NatsPlace, version: string) {
    this.server = server;
    this.version = version;
    this.#place = place;
  }

  static async start(): Promise<NatsNodes> {
    const image = localImage('nats');
    if (image === undefined) throw new Error('no image: see requirements.ts');
    const ports: number[] = [];
    while (ports.length < nodeCount) ports.push(await freePort());
    const server = await startServer({
      image,
      port: ports[0] as number,
      samePorts: ports,
      entrypoint: ['bash', '-c', script, 'nodes'],
      command: ports.map(String),
    });
    const place = { ports };
    // There is no stream before there is a leader of leaders.
    await until('the cluster takes a stream', async () => {
      await NatsClient.create(place, {
        ...{ name: numbersStream, subjects: [`${numbersStream}.>`], num_replicas: nodeCount, duplicate_window: 100e6 },
      });
      return true;
    });
    return new NatsNodes(server, place, await NatsClient.version(place));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
  }

  get sink(): StartedSubject['sink'] {
    return {
      type: 'nats',
      url: this.#place.ports.map((port) => `nats://127.0.0.1:${port}`).join(','),
      subject: `${numbersStream}.{signal}`,
      connect_timeout_secs: 1,
    };
  }

  answers(): Promise<boolean> {
    return NatsClient.answers(this.#place);
  }

  async numbers(): Promise<readonly number[]> {
    return (await NatsClient.messages(this.#place, numbersStream)).flatMap(numbersIn);
  }

  /** Waits until the stream has a leader, and so many servers have all of it. */
  async ready(servers: number = nodeCount): Promise<StreamNow & { readonly leader: string }> {
    return await until(`${servers} servers have all of the stream`, async () => {
      const stream = await NatsClient.stream(this.#place, numbersStream);
      const { leader, currentServers } = stream;
      return leader !== undefined && currentServers >= servers ? { ...stream, leader } : undefined;
    });
  }

  /** Kills a server with SIGKILL; it stays away. */
  async takeDown(name: string): Promise<void> {
    await this.#run(`touch /data/${name}/down && kill -KILL "$(cat /data/${name}/pid)"`);
  }

  async bringBack(name: string): Promise<void> {
    await this.#run(`rm /data/${name}/down`);
  }

  async #run(command: string): Promise<void> {
    const { exitCode, output } = await this.server.container.exec(['bash', '-c', command]);
    if (exitCode !== 0) throw new Error(`in the container: ${command}: ${output}`);
  }
}

/** The first answer that is one. What goes wrong until then is part of an election. */
async function until<Value>(what: string, ask: () => Promise<Value | undefined>): Promise<Value> {
  const deadlineMs = performance.now() + readyMsMax;
  for (;;) {
    const found = await ask().catch((error: unknown) => {
      if (performance.now() > deadlineMs) throw new Error(`not so: ${what}`, { cause: error });
      return undefined;
    });
    if (found !== undefined) return found;
    if (performance.now() > deadlineMs) throw new Error(`not so: ${what}`);
    await sleep(100);
  }
}
