// Stands between a sink and an MQTT server and counts what goes by, through a codec of others.
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { type Packet, parser } from 'mqtt-packet';

export class MqttTap implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** The most publishes that were not acknowledged at a moment. */
  inFlightMax: number = 0;
  publishes: number = 0;
  /** Those that were marked as sent before. */
  repeats: number = 0;
  /** Connections in which the server went on with an earlier session. */
  resumed: number = 0;
  /** With this publish the connection is cut, once: the server gets it, and its answer has nowhere to go. */
  cutAt: number | undefined;
  /** What the server said to allow at a time. */
  receiveMaximum: number | undefined;

  private constructor(server: Server, port: number) {
    this.#server = server;
    server.on('connection', (client) => this.#join(client, connect({ host: '127.0.0.1', port })));
  }

  /** In front of the server at this port. */
  static async start(port: number): Promise<MqttTap> {
    const server = createServer({ noDelay: true }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new MqttTap(server, port);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #join(client: Socket, server: Socket): void {
    let inFlight = 0;
    this.#listen(client, server, (packet) => {
      if (packet.cmd !== 'publish') return;
      this.publishes += 1;
      if (packet.dup) this.repeats += 1;
      inFlight += 1;
      this.inFlightMax = Math.max(this.inFlightMax, inFlight);
    });
    this.#listen(server, client, (packet) => {
      if (packet.cmd === 'puback') inFlight -= 1;
      if (packet.cmd !== 'connack') return;
      this.receiveMaximum = packet.properties?.receiveMaximum;
      if (packet.sessionPresent) this.resumed += 1;
    });
  }

  /** What was heard is counted before it is passed on, so that an answer cannot be counted before its question. */
  #listen(from: Socket, to: Socket, heard: (packet: Packet) => void): void {
    const reader = parser({ protocolVersion: 5 }).on('packet', heard);
    this.#sockets.add(from);
    from.on('data', (chunk: Buffer) => {
      reader.parse(chunk);
      to.write(chunk);
      if (this.cutAt === undefined || this.publishes < this.cutAt) return;
      this.cutAt = undefined;
      from.destroy(); // What was written still gets to the server; what it says to it has nowhere to go.
    });
    from.on('error', () => from.destroy());
    from.on('close', () => to.end());
  }
}
