// The other side of a stream, with the official client: what a server holds, in its order, and what an operator does to
// it. Every call has a connection of its own, so a server may be killed in between.
import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import { type JetStreamManager, jetstream, jetstreamManager, type StreamConfig } from '@nats-io/jetstream';
import { connect, type NatsConnection, type NodeConnectionOptions } from '@nats-io/transport-node';

export interface NatsPlace {
  /** The servers of a cluster: the first that answers. */
  readonly ports: readonly number[];
  readonly user?: string;
  readonly password?: string;
  /** TLS, and other ways to say who asks. */
  readonly how?: Pick<NodeConnectionOptions, 'tls' | 'authenticator'>;
}

export interface StreamNow {
  readonly messages: number;
  readonly bytes: number;
  /** The name of the server that leads it, in a cluster. */
  readonly leader: string | undefined;
  /** Servers that have everything, the leader included. */
  readonly currentServers: number;
}

const answerMsMax = 2_000;
const callMsMax = 5_000;

export const NatsClient = {
  /** Whether the server says who it is to a new client. The official one would leave a socket behind if it does not. */
  async answers({ ports }: NatsPlace): Promise<boolean> {
    const socket = connectTcp({ host: '127.0.0.1', port: ports[0] as number });
    socket.setTimeout(answerMsMax, () => socket.destroy());
    try {
      const [chunk] = (await Promise.race([once(socket, 'data'), once(socket, 'close')])) as [unknown];
      return Buffer.isBuffer(chunk) && chunk.toString().startsWith('INFO');
    } catch {
      return false;
    } finally {
      socket.destroy();
    }
  },

  version: (place: NatsPlace): Promise<string> =>
    during(place, async (connection) => connection.info?.version ?? 'unknown'),

  create: (place: NatsPlace, config: Partial<StreamConfig> & { readonly name: string }): Promise<void> =>
    managing(place, async (manager) => {
      await manager.streams.add(config);
    }),

  update: (place: NatsPlace, stream: string, config: Partial<StreamConfig>): Promise<void> =>
    managing(place, async (manager) => {
      await manager.streams.update(stream, config);
    }),

  stream: (place: NatsPlace, stream: string): Promise<StreamNow> =>
    managing(place, async (manager) => {
      const { state, cluster } = await manager.streams.info(stream);
      const current = (cluster?.replicas ?? []).filter((replica) => replica.current && !replica.offline).length;
      return { ...state, leader: cluster?.leader, currentServers: current + (cluster?.leader === undefined ? 0 : 1) };
    }),

  publish: (place: NatsPlace, subject: string, text: string): Promise<void> =>
    during(place, async (connection) => {
      await jetstream(connection).publish(subject, text);
    }),

  /** The text of every message that is there, in order. */
  messages: (place: NatsPlace, stream: string): Promise<string[]> =>
    during(place, async (connection) => {
      const manager = await jetstreamManager(connection, { checkAPI: false });
      const count = (await manager.streams.info(stream)).state.messages;
      const texts: string[] = [];
      if (count === 0) return texts;
      const consumer = await jetstream(connection).consumers.get(stream);
      const found = await consumer.consume({ max_messages: 5_000 });
      for await (const message of found) if (texts.push(message.string()) === count) break;
      return texts;
    }),
};

async function managing<Value>(place: NatsPlace, work: (manager: JetStreamManager) => Promise<Value>): Promise<Value> {
  return await during(place, async (connection) => work(await jetstreamManager(connection, { checkAPI: false })));
}

async function during<Value>(
  { ports, user, password, how = {} }: NatsPlace,
  work: (connection: NatsConnection) => Promise<Value>,
): Promise<Value> {
  const connection = await connect({
    servers: ports.map((port) => `127.0.0.1:${port}`),
    ...(user === undefined ? {} : { user }),
    ...(password === undefined ? {} : { pass: password }),
    reconnect: false,
    timeout: callMsMax,
    ...how,
  });
  try {
    return await work(connection);
  } finally {
    await connection.close();
  }
}
