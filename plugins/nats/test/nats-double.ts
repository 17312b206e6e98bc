// A NATS server with JetStream for tests: the part of the protocol that the sink speaks, over a real socket, and with
// faults where and when a test wants them. What its streams keep outlives its connections.
import { createServer, type Socket } from 'node:net';
import { type SecureContextOptions, TLSSocket } from 'node:tls';
import { ServerDouble } from '../../../test/server-double.ts';
import { refusal, StreamDouble, type StreamLimits, type Verdict } from './stream-double.ts';

/**
 * What happens to a command. `lose`: done, but the connection breaks before the answer. `mute`: done, and no answer
 * comes. `absent`: nobody listens to it. `hang`: nothing more is done on this connection. `hold`: see `release`.
 */
export type Fault =
  | 'drop'
  | 'lose'
  | 'mute'
  | 'absent'
  | 'hang'
  | 'hold'
  | { readonly error: string }
  | { readonly say: Verdict };

export interface Command {
  readonly verb: string;
  readonly subject: string;
  readonly headers: Readonly<Record<string, string>>;
}

interface Session {
  readonly id: number;
  socket: Socket;
  bytes: Buffer;
  isHung: boolean;
  isKnown: boolean;
}

interface Question extends Command {
  readonly reply: string;
  readonly payload: Buffer;
  readonly bytes: number;
}

export class NatsDouble extends ServerDouble {
  readonly #sessions = new Set<Session>();
  readonly #held: (() => void)[] = [];
  readonly streams: StreamDouble[] = [];
  /** All commands that have arrived, in order. */
  readonly commands: Command[] = [];
  /** What CONNECT must say; none: everybody may. */
  credentials: Readonly<Record<string, string>> | undefined;
  /** Joins what it says of itself. */
  info: Readonly<Record<string, unknown>> = {};
  /** With it the server asks for TLS. */
  tls: SecureContextOptions | undefined;
  /** What it says instead of INFO. */
  greeting: string | undefined;
  isJetStreamOn: boolean = true;
  createdWith: unknown;
  /** What the last CONNECT said. */
  hello: Readonly<Record<string, unknown>> = {};
  fault: (command: Command) => Fault | undefined = () => undefined;

  static async start(): Promise<NatsDouble> {
    return await new NatsDouble(createServer({ noDelay: true })).listen();
  }

  get url(): string {
    return `nats://127.0.0.1:${this.port}`;
  }

  addStream(name: string, subjects: readonly string[], limits: StreamLimits = {}): StreamDouble {
    const stream = new StreamDouble(name, subjects, limits);
    this.streams.push(stream);
    return stream;
  }

  /** As if another client had sent it. */
  publish(subject: string, headers: Readonly<Record<string, string>> = {}): void {
    this.#streamFor(subject)?.publish({ subject, headers, payload: Buffer.from('x'), bytes: 1 });
  }

  /** The command that comes after `skipped` others of this kind meets the fault, once. */
  failOnce(isMeant: (command: Command) => boolean, fault: Fault, skipped: number = 0): { readonly seen: number } {
    const count = { seen: 0 };
    this.fault = (command) => {
      if (!isMeant(command)) return undefined;
      count.seen += 1;
      return count.seen === skipped + 1 ? fault : undefined;
    };
    return count;
  }

  /** Does what was held, whether or not anybody still waits for it. */
  release(): void {
    for (const perform of this.#held.splice(0)) perform();
  }

  /** Says something to everybody that nobody has asked for. */
  say(bytes: string | Buffer): void {
    for (const { socket } of this.#sessions) socket.write(bytes);
  }

  protected override serve(socket: Socket): void {
    const session: Session = {
      ...{ id: this.connections, socket, bytes: Buffer.alloc(0), isHung: false },
      ...{ isKnown: this.credentials === undefined },
    };
    this.#sessions.add(session);
    socket.on('close', () => this.#sessions.delete(session));
    const info = { version: '2.15.2', headers: true, max_payload: 1_048_576, tls_required: this.tls !== undefined };
    socket.write(this.greeting ?? `INFO ${JSON.stringify({ ...info, ...this.info })}\r\n`);
    if (this.tls === undefined) {
      socket.on('data', (chunk: Buffer) => this.#take(session, chunk));
      return;
    }
    session.socket = new TLSSocket(socket, { isServer: true, ...this.tls });
    session.socket.on('error', () => socket.destroy());
    session.socket.on('data', (chunk: Buffer) => this.#take(session, chunk));
  }

  #take(session: Session, chunk: Buffer): void {
    session.bytes = Buffer.concat([session.bytes, chunk]);
    for (;;) {
      const lineEnd = session.bytes.indexOf('\r\n');
      if (lineEnd < 0 || session.isHung || session.socket.destroyed) return;
      const [verb = '', ...args] = session.bytes.toString('utf8', 0, lineEnd).split(' ');
      const isPublish = verb === 'PUB' || verb === 'HPUB';
      const length = isPublish ? Number(args.at(-1)) + 2 : 0;
      if (session.bytes.length < lineEnd + 2 + length) return;
      const body = session.bytes.subarray(lineEnd + 2, lineEnd + 2 + Math.max(0, length - 2));
      session.bytes = session.bytes.subarray(lineEnd + 2 + length);
      this.#meet(session, questionOf(verb, args, body));
    }
  }

  #meet(session: Session, question: Question): void {
    const { verb, subject, headers } = question;
    this.commands.push({ verb, subject, headers });
    const fault = this.fault(question);
    const { socket } = session;
    if (fault === 'drop') socket.destroy();
    else if (fault === 'absent') noResponders(session, question.reply);
    else if (fault === 'hang') session.isHung = true;
    else if (fault === 'hold') this.#held.push(() => this.#perform(session, question));
    else if (fault === 'lose' || fault === 'mute') {
      this.#perform(session, { ...question, reply: '' });
      if (fault === 'lose') socket.destroy();
    } else if (fault !== undefined && 'say' in fault) answer(session, question.reply, fault.say);
    else if (fault !== undefined) socket.write(`-ERR '${fault.error}'\r\n`);
    else this.#perform(session, question);
  }

  #perform(session: Session, question: Question): void {
    const { socket } = session;
    switch (question.verb) {
      case 'CONNECT':
        this.hello = JSON.parse(question.payload.toString());
        session.isKnown = Object.entries(this.credentials ?? {}).every(([key, value]) => this.hello[key] === value);
        if (!session.isKnown) socket.end("-ERR 'Authorization Violation'\r\n");
        return;
      case 'PING':
        if (session.isKnown) socket.write('PONG\r\n');
        return;
      case 'PUB':
      case 'HPUB':
        this.#publish(session, question);
        return;
    }
  }

  #publish(session: Session, question: Question): void {
    const { subject, reply } = question;
    if (subject.startsWith('$JS.')) {
      const [, , kind = '', ...rest] = subject.split('.');
      if (this.isJetStreamOn && kind === 'STREAM') answer(session, reply, this.#ask(rest, question.payload));
      else noResponders(session, reply);
      return;
    }
    const stream = this.#streamFor(subject);
    if (stream === undefined) noResponders(session, reply);
    else answer(session, reply, stream.publish(question));
  }

  #ask([verb = '', next = '', ...rest]: readonly string[], payload: Buffer): object {
    const body = payload.length === 0 ? {} : JSON.parse(payload.toString());
    if (verb === 'NAMES') return { streams: this.streams.filter((s) => s.takes(body.subject)).map(({ name }) => name) };
    const name = verb === 'MSG' ? rest[0] : next;
    if (verb === 'CREATE') {
      this.createdWith = body;
      this.addStream(body.name, body.subjects);
    }
    const stream = this.streams.find((candidate) => candidate.name === name);
    if (stream === undefined) return refusal(404, 10_059, 'stream not found');
    if (verb !== 'MSG') return stream.describe();
    return stream.lastMessage() ?? refusal(404, 10_037, 'no message found');
  }

  #streamFor(subject: string): StreamDouble | undefined {
    return this.streams.find((stream) => stream.takes(subject));
  }
}

function questionOf(verb: string, args: readonly string[], body: Buffer): Question {
  if (verb === 'CONNECT') return question(verb, '', '', Buffer.from(args.join(' ')), Buffer.alloc(0));
  if (verb === 'PUB')
    return question(verb, args[0] ?? '', args.length > 2 ? (args[1] ?? '') : '', body, Buffer.alloc(0));
  if (verb !== 'HPUB') return question(verb, args[0] ?? '', '', Buffer.alloc(0), Buffer.alloc(0));
  const headerLength = Number(args.at(-2));
  return question(
    verb,
    args[0] ?? '',
    args.length > 3 ? (args[1] ?? '') : '',
    body.subarray(headerLength),
    body.subarray(0, headerLength),
  );
}

function question(verb: string, subject: string, reply: string, payload: Buffer, head: Buffer): Question {
  const lines = head.toString().split('\r\n').slice(1).filter(Boolean);
  const headers = Object.fromEntries(lines.map((line) => line.split(': ', 2) as [string, string]));
  return { verb, subject, reply, headers, payload: Buffer.from(payload), bytes: head.length + payload.length };
}

function answer({ socket }: Session, reply: string, said: object): void {
  if (reply === '' || socket.destroyed) return;
  const payload = Buffer.from(JSON.stringify(said));
  socket.write(`MSG ${reply} 1 ${payload.length}\r\n`);
  socket.write(payload);
  socket.write('\r\n');
}

function noResponders({ socket }: Session, reply: string): void {
  if (reply !== '' && !socket.destroyed) socket.write(`HMSG ${reply} 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\n`);
}
