// A RabbitMQ for tests: queues, exchanges and bindings in memory, publisher confirms over a real socket, and faults
// where and when a test wants them. What it keeps outlives its connections. The real server plays its part in
// integration/sinks/rabbitmq.test.ts.
import { createServer, type Socket } from 'node:net';
import { createServer as createTlsServer, type TlsOptions } from 'node:tls';
import { ServerDouble } from '../../../test/server-double.ts';
import {
  Fields,
  frameBytes,
  framesIn,
  headerIn,
  long,
  longLong,
  longString,
  methodBytes,
  type ReceivedFrame,
  type ReceivedProperties,
  short,
  shortString,
} from './amqp-bytes.ts';

export interface StoredMessage {
  readonly exchange: string;
  readonly routingKey: string;
  readonly isMandatory: boolean;
  readonly properties: ReceivedProperties;
  readonly body: Buffer;
}

/**
 * What happens to a message. `lose`: stored, and the connection breaks before it is confirmed. `hold`: stored, and not
 * confirmed before `release`. `hang`: nothing more is read.
 */
export type Fault =
  | 'drop'
  | 'lose'
  | 'nack'
  | 'hold'
  | 'hang'
  | { readonly closeChannel: number; readonly text: string }
  | { readonly closeConnection: number; readonly text: string };

export interface Session {
  readonly socket: Socket;
  rest: Buffer;
  nextTag: number;
  pending: { exchange: string; routingKey: string; isMandatory: boolean } | undefined;
  header: { size: number; properties: ReceivedProperties } | undefined;
  body: Buffer[];
  isHung: boolean;
  /** Wait for company. */
  tags: number[];
  /** Wait for `release`. */
  withheldTags: number[];
  client: Record<string, unknown>;
}

export class RabbitmqDouble extends ServerDouble {
  readonly #sessions = new Set<Session>();
  readonly queues: Map<string, StoredMessage[]> = new Map();
  /** `exchange/routing key` to the queue; `*` as the key takes everything. */
  readonly bindings: Map<string, string> = new Map();
  readonly exchanges: Set<string> = new Set();
  /** Declarations that are not passive, and bindings, as they came. */
  readonly declared: unknown[] = [];
  /** Everything that was published, stored or not. */
  readonly published: StoredMessage[] = [];
  readonly logins: string[] = [];
  heartbeats: number = 0;
  goodbyes: number = 0;
  password: string = 'guest';
  mechanisms: string = 'PLAIN AMQPLAIN';
  tune: { frameMax: number; heartbeat: number } = { frameMax: 131_072, heartbeat: 60 };
  agreed: { frameMax: number; heartbeat: number } | undefined;
  virtualHost: string = '/';
  /** Confirms so many messages at once, `multiple`, and those that are left one by one. */
  confirmEvery: number = 1;
  /** Asked for every message. */
  fault: (message: StoredMessage) => Fault | undefined = () => undefined;
  /** Sent instead of the answer to connection.open. */
  answerToOpen: Buffer | undefined;
  /** Sent instead of the first frame. */
  greeting: Buffer | undefined;

  static async start(tls?: TlsOptions): Promise<RabbitmqDouble> {
    const server = tls === undefined ? createServer({ noDelay: true }) : createTlsServer(tls);
    return await new RabbitmqDouble(server).listen();
  }

  get url(): string {
    return `amqp://127.0.0.1:${this.port}`;
  }

  queue(name: string): StoredMessage[] {
    const messages = this.queues.get(name) ?? [];
    this.queues.set(name, messages);
    return messages;
  }

  /** To everybody who is connected. */
  say(bytes: Buffer): void {
    for (const { socket } of this.#sessions) socket.write(bytes);
  }

  block(reason: string): void {
    this.say(methodBytes(0, 10, 60, shortString(reason)));
  }

  unblock(): void {
    this.say(methodBytes(0, 10, 61));
  }

  /** Confirms what was held, with one frame: `multiple`. */
  release(): void {
    for (const session of this.#sessions) {
      const last = session.withheldTags.splice(0).at(-1);
      if (last !== undefined) session.socket.write(methodBytes(1, 60, 80, longLong(last), Buffer.from([1])));
    }
  }

  protected override serve(socket: Socket): void {
    const session: Session = {
      socket,
      rest: Buffer.alloc(0),
      nextTag: 1,
      pending: undefined,
      header: undefined,
      body: [],
      isHung: false,
      tags: [],
      withheldTags: [],
      client: {},
    };
    this.#sessions.add(session);
    socket.on('close', () => this.#sessions.delete(session));
    let isGreeted = false;
    socket.on('data', (chunk: Buffer) => {
      session.rest = Buffer.concat([session.rest, chunk]);
      if (!isGreeted && session.rest.length >= 8) {
        isGreeted = true;
        session.rest = session.rest.subarray(8);
        socket.write(this.greeting ?? this.#start());
      }
      if (!isGreeted) return;
      const { frames, rest } = framesIn(session.rest);
      session.rest = rest;
      for (const frame of frames) if (!session.isHung && !socket.destroyed) this.#take(session, frame);
      this.#confirmRest(session);
    });
  }

  #start(): Buffer {
    const version = Buffer.from([0, 9]);
    return methodBytes(0, 10, 10, version, long(0), longString(this.mechanisms), longString('en_US'));
  }

  #take(session: Session, { type, payload }: ReceivedFrame): void {
    if (type === 8) this.heartbeats += 1;
    else if (type === 1) this.#takeMethod(session, new Fields(payload));
    else if (type === 2) {
      session.header = headerIn(payload);
      session.body = [];
      this.#takeBody(session);
    } else {
      session.body.push(payload);
      this.#takeBody(session);
    }
  }

  #takeMethod(session: Session, fields: Fields): void {
    const { socket } = session;
    const method = `${fields.short()}.${fields.short()}`;
    switch (method) {
      case '10.11':
        this.#logIn(session, fields);
        break;
      case '10.31':
        fields.short();
        this.agreed = { frameMax: fields.long(), heartbeat: fields.short() };
        break;
      case '10.40':
        if (fields.shortString() === this.virtualHost)
          socket.write(this.answerToOpen ?? methodBytes(0, 10, 41, shortString('')));
        else this.#close(session, 530, 'NOT_ALLOWED - vhost not found');
        break;
      case '10.50':
        this.goodbyes += 1;
        socket.write(methodBytes(0, 10, 51));
        break;
      case '20.10':
        socket.write(methodBytes(1, 20, 11, longString('')));
        break;
      case '85.10':
        socket.write(methodBytes(1, 85, 11));
        break;
      case '40.10':
        this.#declareExchange(session, fields);
        break;
      case '50.10':
        this.#declareQueue(session, fields);
        break;
      case '50.20':
        this.#bind(session, fields);
        break;
      case '60.40':
        fields.short();
        session.pending = {
          exchange: fields.shortString(),
          routingKey: fields.shortString(),
          isMandatory: (fields.octet() & 1) === 1,
        };
        break;
      case '10.51':
      case '20.41':
        socket.end();
        break;
      default:
        throw new Error(`the client sent method ${method}`);
    }
  }

  #logIn(session: Session, fields: Fields): void {
    session.client = fields.table();
    const mechanism = fields.shortString();
    const response = fields.longString();
    this.logins.push(`${mechanism} ${response.replaceAll('\0', ' ')}`);
    if (mechanism !== 'EXTERNAL' && response.split('\0')[2] !== this.password) {
      this.#close(session, 403, `ACCESS_REFUSED - Login was refused, you said ${response.split('\0')[2]}`);
      return;
    }
    const { frameMax, heartbeat } = this.tune;
    session.socket.write(methodBytes(0, 10, 30, short(2047), long(frameMax), short(heartbeat)));
  }

  #declareExchange(session: Session, fields: Fields): void {
    fields.short();
    const [name, type, flags] = [fields.shortString(), fields.shortString(), fields.octet()];
    if ((flags & 1) === 0) {
      this.declared.push({ exchange: name, type, flags });
      this.exchanges.add(name);
    }
    if (this.exchanges.has(name)) session.socket.write(methodBytes(1, 40, 11));
    else this.#closeChannel(session, 404, `NOT_FOUND - no exchange '${name}' in vhost '/'`);
  }

  #declareQueue(session: Session, fields: Fields): void {
    fields.short();
    const [name, flags, table] = [fields.shortString(), fields.octet(), fields.table()];
    if ((flags & 1) === 0) {
      this.declared.push({ queue: name, flags, arguments: table });
      this.queue(name);
    }
    const answer = methodBytes(1, 50, 11, shortString(name), long(0), long(0));
    if (this.queues.has(name)) session.socket.write(answer);
    else this.#closeChannel(session, 404, `NOT_FOUND - no queue '${name}' in vhost '/'`);
  }

  #bind(session: Session, fields: Fields): void {
    fields.short();
    const [queue, exchange, key] = [fields.shortString(), fields.shortString(), fields.shortString()];
    this.declared.push({ bind: queue, exchange, key });
    this.bindings.set(`${exchange}/${key === '#' ? '*' : key}`, queue);
    session.socket.write(methodBytes(1, 50, 21));
  }

  #takeBody(session: Session): void {
    const { pending, header } = session;
    if (pending === undefined || header === undefined) throw new Error('content without a method');
    const body = Buffer.concat(session.body);
    if (body.length < header.size) return;
    session.pending = undefined;
    this.#takeMessage(session, { ...pending, properties: header.properties, body });
  }

  #takeMessage(session: Session, message: StoredMessage): void {
    const { socket } = session;
    const tag = session.nextTag;
    session.nextTag += 1;
    this.published.push(message);
    const fault = this.fault(message);
    if (typeof fault === 'object') {
      if ('closeChannel' in fault) this.#closeChannel(session, fault.closeChannel, fault.text);
      else this.#close(session, fault.closeConnection, fault.text);
    } else if (fault === 'drop') socket.destroy();
    else if (fault === 'hang') {
      session.isHung = true;
      socket.pause();
    } else if (fault === 'nack') socket.write(methodBytes(1, 60, 120, longLong(tag), Buffer.from([0])));
    else {
      this.#route(session, message);
      if (fault === 'lose') socket.destroy();
      else if (fault === 'hold') session.withheldTags.push(tag);
      else if (session.tags.push(tag) >= this.confirmEvery) this.#confirm(session);
    }
  }

  #route(session: Session, message: StoredMessage): void {
    const { exchange, routingKey, properties, body } = message;
    const bound = this.bindings.get(`${exchange}/${routingKey}`) ?? this.bindings.get(`${exchange}/*`);
    const name = exchange === '' ? routingKey : bound;
    if (name !== undefined && this.queues.has(name)) this.queue(name).push(message);
    else if (message.isMandatory) {
      const id = properties.messageId ?? '';
      const header = Buffer.concat([short(60), short(0), longLong(body.length), short(1 << 7), shortString(id)]);
      session.socket.write(
        Buffer.concat([
          methodBytes(1, 60, 50, short(312), shortString('NO_ROUTE'), shortString(exchange), shortString(routingKey)),
          frameBytes(2, 1, header),
          ...(body.length > 0 ? [frameBytes(3, 1, body)] : []),
        ]),
      );
    }
  }

  #confirm({ socket, tags: waiting }: Session): void {
    const tags = waiting.splice(0);
    const last = tags.at(-1);
    if (last !== undefined)
      socket.write(methodBytes(1, 60, 80, longLong(last), Buffer.from([tags.length > 1 ? 1 : 0])));
  }

  /** With nothing more to read, what waits for company is confirmed without. */
  #confirmRest(session: Session): void {
    if (this.confirmEvery === 1) return;
    for (const tag of session.tags.splice(0)) {
      session.socket.write(methodBytes(1, 60, 80, longLong(tag), Buffer.from([0])));
    }
  }

  #close({ socket }: Session, code: number, text: string): void {
    socket.write(methodBytes(0, 10, 50, short(code), shortString(text), short(0), short(0)));
  }

  #closeChannel({ socket }: Session, code: number, text: string): void {
    socket.write(methodBytes(1, 20, 40, short(code), shortString(text), short(60), short(40)));
  }
}
