// An MQTT server in this process, as far as a publisher can see one, with a fault wherever one can strike. It speaks
// through another codec than the sink, so that both have to agree on every byte.
import { createServer, type Server, type Socket } from 'node:net';
import { generate, type IConnectPacket, type IPublishPacket, type Packet, parser } from 'mqtt-packet';
import { ServerDouble } from '../../../test/server-double.ts';

/**
 * What becomes of a publish: it is acknowledged, with a reason code; held back until `release`; taken in silence;
 * dropped with its connection, before it was taken or after.
 */
export type Fate = 'ack' | 'hold' | 'silent' | 'drop' | 'lose' | { readonly code: number; readonly reason?: string };

type Properties = Record<string, unknown>;

export interface Greeting {
  readonly code?: number;
  readonly properties?: Properties;
  /** Default: whether there is a session. */
  readonly isSessionPresent?: boolean;
  /** Says nothing, says this, or hangs up. */
  readonly instead?: 'silence' | 'close' | Buffer;
}

interface Client {
  readonly socket: Socket;
  connect: IConnectPacket | undefined;
  unacknowledged: number;
}

export class MqttDouble extends ServerDouble {
  readonly #clients = new Set<Client>();
  readonly #sessions = new Set<string>();
  #held: { readonly client: Client; readonly publish: IPublishPacket }[] = [];
  /** Everything that was taken, in order. */
  readonly published: IPublishPacket[] = [];
  /** Every PUBLISH that arrived, in order. */
  readonly arrived: IPublishPacket[] = [];
  readonly connects: IConnectPacket[] = [];
  readonly others: Packet[] = [];
  greeting: Greeting = {};
  answersPings: boolean = true;
  /** The most publishes that were unacknowledged on a connection. */
  inFlightMax: number = 0;
  fate: (publish: IPublishPacket) => Fate = () => 'ack';

  static async start(port: number = 0, given: Server = createServer({ noDelay: true })): Promise<MqttDouble> {
    return await new MqttDouble(given).listen(port);
  }

  get held(): number {
    return this.#held.length;
  }

  get payloads(): string[] {
    return this.published.map(({ payload }) => payload.toString('latin1'));
  }

  /** The next publishes meet these fates, one each; those after them are acknowledged. */
  fates(...fates: readonly Fate[]): void {
    const left = [...fates];
    this.fate = () => left.shift() ?? 'ack';
  }

  /** Acknowledges what is held, in the order that is given: `(held) => held.reverse()`. */
  release(order: <Item>(held: Item[]) => Item[] = (held) => held): void {
    for (const { client, publish } of order(this.#held.splice(0))) this.#acknowledge(client, publish, 0);
  }

  /** Says this to everybody. */
  say(packet: Packet | Buffer): void {
    for (const { socket, connect } of this.#clients) socket.write(bytesOf(packet, connect));
  }

  forgetSessions(): void {
    this.#sessions.clear();
  }

  protected override serve(socket: Socket): void {
    const client: Client = { socket, connect: undefined, unacknowledged: 0 };
    this.#clients.add(client);
    socket.on('close', () => this.#clients.delete(client));
    const reader = parser();
    reader.on('packet', (packet) => this.#take(client, packet));
    reader.on('error', () => socket.destroy());
    socket.on('data', (chunk: Buffer) => reader.parse(chunk));
  }

  #take(client: Client, packet: Packet): void {
    if (client.socket.destroyed) return;
    if (packet.cmd === 'connect') this.#greet(client, packet);
    else if (packet.cmd === 'publish') this.#judge(client, packet);
    else {
      this.others.push(packet);
      if (packet.cmd === 'pingreq' && this.answersPings) this.#answer(client, { cmd: 'pingresp' });
    }
  }

  #greet(client: Client, connect: IConnectPacket): void {
    this.connects.push(connect);
    client.connect = connect;
    for (const other of this.#clients) {
      if (other !== client && other.connect?.clientId === connect.clientId) other.socket.destroy();
    }
    if (connect.clean) this.#sessions.delete(connect.clientId);
    const { code = 0, properties = {}, instead, isSessionPresent } = this.greeting;
    if (instead === 'close') client.socket.destroy();
    if (instead !== undefined) {
      if (Buffer.isBuffer(instead)) client.socket.write(instead);
      return;
    }
    const sessionPresent = isSessionPresent ?? this.#sessions.has(connect.clientId);
    this.#sessions.add(connect.clientId);
    this.#answer(client, { cmd: 'connack', sessionPresent, reasonCode: code, returnCode: code, properties });
  }

  #judge(client: Client, publish: IPublishPacket): void {
    this.arrived.push(publish);
    client.unacknowledged += 1;
    this.inFlightMax = Math.max(this.inFlightMax, client.unacknowledged);
    const fate = this.fate(publish);
    switch (fate) {
      case 'ack':
        this.#acknowledge(client, publish, 0);
        break;
      case 'hold':
        this.#held.push({ client, publish });
        break;
      case 'silent':
        break;
      case 'lose':
        this.published.push(publish);
        client.socket.destroy();
        break;
      case 'drop':
        client.socket.destroy();
        break;
      default:
        this.#acknowledge(client, publish, fate.code, fate.reason);
    }
  }

  #acknowledge(client: Client, publish: IPublishPacket, reasonCode: number, reasonString?: string): void {
    if (reasonCode < 0x80) this.published.push(publish);
    client.unacknowledged -= 1;
    const properties = reasonString === undefined ? {} : { properties: { reasonString } };
    this.#answer(client, { cmd: 'puback', messageId: publish.messageId as number, reasonCode, ...properties });
  }

  #answer({ socket, connect }: Client, packet: Packet): void {
    if (!socket.destroyed) socket.write(bytesOf(packet, connect));
  }
}

function bytesOf(packet: Packet | Buffer, connect: IConnectPacket | undefined): Buffer {
  if (Buffer.isBuffer(packet)) return packet;
  return generate(packet, { protocolVersion: connect?.protocolVersion ?? 5 });
}
