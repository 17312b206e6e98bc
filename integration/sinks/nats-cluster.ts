// A NATS cluster of three servers with one stream on all of them. They live in one container, so that one can be killed
// while the others go on.
import { runIn, type StartedServer } from '../containers.ts';
import { NatsClient, type NatsPlace, type StreamNow } from '../nats-client.ts';
import { numbersIn } from '../number-load.ts';
import { until } from '../until.ts';
import { numbersStream } from './nats.ts';
import { startNodes } from './server-nodes.ts';
import type { StartedSubject } from './sink-subject.ts';

const nodeCount = 3;
/** Elections take a few seconds. */
const readyMsMax = 40_000;

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
    const { server, ports } = await startNodes({ image: 'nats', count: nodeCount, script: 'nats-cluster-nodes.sh' });
    const place = { ports };
    // There is no stream before there is a leader of leaders.
    const stream = { name: numbersStream, subjects: [`${numbersStream}.>`], num_replicas: nodeCount };
    const create = () => NatsClient.create(place, { ...stream, duplicate_window: 100e6 }).then(() => true);
    await until('the cluster takes a stream', create, readyMsMax);
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
    const ask = async () => {
      const stream = await NatsClient.stream(this.#place, numbersStream);
      const { leader, currentServers } = stream;
      return leader !== undefined && currentServers >= servers ? { ...stream, leader } : undefined;
    };
    return await until(`${servers} servers have all of the stream`, ask, readyMsMax);
  }

  /** Kills a server with SIGKILL; it stays away. */
  async takeDown(name: string): Promise<void> {
    await runIn(this.server, 'bash', '-c', `touch /data/${name}/down && kill -KILL "$(cat /data/${name}/pid)"`);
  }

  async bringBack(name: string): Promise<void> {
    await runIn(this.server, 'rm', `/data/${name}/down`);
  }
}
