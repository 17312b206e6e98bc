// The other side of RabbitMQ for tests: another client than the sink's own. What it reads it takes away.
import { connect as connectSocket } from 'node:net';
import { type Channel, type ChannelModel, connect } from 'amqplib';

const protocolHeader = Buffer.from('AMQP\0\0\x09\x01', 'latin1');
const answerMsMax = 2_000;
const prefetch = 1_000;

export class RabbitmqClient {
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  /** Whether a server greets whoever comes. Before any login, so no password is needed. */
  static answers(port: number): Promise<boolean> {
    return new Promise((resolve) => {
      const socket = connectSocket({ host: '127.0.0.1', port });
      const timer = setTimeout(() => socket.destroy(), answerMsMax);
      let hasAnswered = false;
      socket.write(protocolHeader);
      socket.once('data', () => {
        hasAnswered = true;
        socket.destroy();
      });
      socket.on('error', () => socket.destroy());
      socket.on('close', () => {
        clearTimeout(timer);
        resolve(hasAnswered);
      });
    });
  }

  async version(): Promise<string> {
    return await this.#with(async (_, { connection }) => String(connection.serverProperties.version));
  }

  /** Takes everything out of a queue, in its order. */
  async takeAll(queue: string): Promise<Buffer[]> {
    return await this.#with(async (channel) => {
      const taken: Buffer[] = [];
      // What stands behind everything else says that nothing is left.
      const end = Buffer.from('the end');
      await channel.prefetch(prefetch);
      channel.sendToQueue(queue, end, { persistent: true });
      await new Promise<void>((resolve, reject) => {
        channel.on('error', reject);
        channel.on('close', () => reject(new Error('the channel was closed')));
        const take = (message: { readonly content: Buffer }): void => {
          if (message.content.equals(end)) resolve();
          else taken.push(message.content);
        };
        channel
          .consume(queue, (message) => {
            if (message === null) return;
            take(message);
            channel.ack(message);
          })
          .catch(reject);
      });
      return taken;
    });
  }

  /** With a channel of its own, which is closed when everything it did is done. */
  async with<Value>(use: (channel: Channel) => Promise<Value>): Promise<Value> {
    return await this.#with(use);
  }

  async #with<Value>(use: (channel: Channel, model: ChannelModel) => Promise<Value>): Promise<Value> {
    const model = await connect(this.#url);
    // Whoever waits for something is told by it.
    model.on('error', () => undefined);
    try {
      const channel = await model.createChannel();
      const value = await use(channel, model);
      await channel.close();
      return value;
    } finally {
      await model.close().catch(() => undefined);
    }
  }
}
