// The sink: takes a batch, makes messages of it, publishes them over one connection, and answers when the server has
// confirmed every one.
//
// It keeps no queue and repeats nothing by itself. A connection that was lost is opened again with the next batch,
// which is what sets the pace of reconnecting: the driver's backoff. One batch at a time, because that keeps the order.
//
// A connection on which no confirmation came in time is kept for one more try, for a server that is slow or stands
// still: what is under way is then not sent again (publisher.ts). A blocked one is kept as long as it lives.
import {
  Deadline,
  type HealthAnswer,
  Overdue,
  readTls,
  type Sink,
  type SinkAnswer,
  type SinkBatch,
  type SinkContext,
} from 'spillway/plugin';
import type { AmqpConnection } from './amqp/connection.ts';
import { CannotConnect, ConnectionLost } from './amqp/ending.ts';
import { type AmqpServer, openConnection } from './amqp/handshake.ts';
import type { Publication } from './amqp/method.ts';
import { answerFor } from './failure.ts';
import { messagesOf } from './message.ts';
import { addressOf, type RabbitmqOptions } from './options.ts';
import { type Published, Publisher } from './publisher.ts';
import { askFor, prepareTopology } from './topology.ts';

/** Tries without a single confirmation after which the connection is given up. */
const fruitlessTriesMax = 2;

/** A connection, and what was published on it. */
interface Line {
  readonly connection: AmqpConnection;
  readonly publisher: Publisher;
  fruitlessTries: number;
  /** A status already says that the server blocks: from now on a try waits for the end of it. */
  isBlockTold: boolean;
}

export class RabbitmqSink implements Sink {
  readonly concurrencyMax = 1;
  readonly #options: RabbitmqOptions;
  readonly #context: SinkContext;
  readonly #peer: string;
  #line: Line | undefined;
  /** Of the last connection. */
  #publisher = new Publisher();
  #isClosed = false;
  /** Settles when nobody uses the connection: a look at the health may come beside a batch. */
  #turn: Promise<void> = Promise.resolve();

  constructor(options: RabbitmqOptions, context: SinkContext) {
    const { host, port } = addressOf(options);
    this.#options = options;
    this.#context = context;
    this.#peer = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  }

  async deliver(batch: SinkBatch, { signal }: { readonly signal: AbortSignal }): Promise<SinkAnswer> {
    const found = messagesOf(batch, this.#options);
    if (found.kind !== 'messages') return found;
    if (found.messages.length === 0) return { kind: 'delivered' };
    return await this.#answer(signal, (line, deadline) => this.#publish(line, found.messages, deadline));
  }

  async checkHealth({ signal }: { readonly signal: AbortSignal }): Promise<HealthAnswer> {
    const answer = await this.#answer(signal, async ({ connection }, deadline) => {
      // A server that blocks does not read questions either.
      if (connection.blockedReason !== undefined) return this.#blocked(connection.blockedReason);
      try {
        await deadline.within(askFor(connection, this.#options), 'looking for exchange and queue');
      } catch (error) {
        // An answer that comes later would be taken for that to another question.
        connection.end(new ConnectionLost('a question was not answered'));
        throw error;
      }
      return { kind: 'delivered' };
    });
    if (answer.kind === 'retryable' || answer.kind === 'blocked') return answer;
    return { kind: 'healthy' };
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const connection = this.#line?.connection;
    this.#line = undefined;
    if (connection?.blockedReason !== undefined) connection.end(new ConnectionLost('the connection is closed'));
    await connection?.close();
  }

  /** Does the work on a connection, and answers for what went wrong. Only errors that are no server's are thrown. */
  async #answer(
    signal: AbortSignal,
    work: (line: Line, deadline: Deadline) => Promise<SinkAnswer>,
  ): Promise<SinkAnswer> {
    const { world, timeoutMs } = this.#context;
    const deadline = new Deadline({ clock: world.clock, timeoutMs, signal });
    const before = this.#turn;
    let endTurn: () => void = () => undefined;
    const mine = new Promise<void>((resolve) => {
      endTurn = resolve;
    });
    this.#turn = before.then(() => mine);
    try {
      await deadline.within(before, 'waiting for another question');
      return await work(await this.#connect(deadline), deadline);
    } catch (error) {
      return answerFor(error, this.#peer);
    } finally {
      endTurn();
    }
  }

  async #connect(deadline: Deadline): Promise<Line> {
    if (this.#line !== undefined && this.#line.connection.ended === undefined) return this.#line;
    this.#line = undefined;
    const publisher = this.#publisher.successor();
    this.#publisher = publisher;
    const server = await deadline.within(this.#server(), 'reading certificates');
    const connection = await openConnection(server, {
      clock: this.#context.world.clock,
      deadline: deadline.shortened(this.#options.connect_timeout_secs),
      events: publisher,
      prepare: (opened) => prepareTopology(opened, this.#options),
    });
    if (this.#isClosed) {
      await connection.close();
      throw new ConnectionLost('the sink is closed');
    }
    this.#context.log.debug('connected', { peer: this.#peer });
    this.#line = { connection, publisher, fruitlessTries: 0, isBlockTold: false };
    return this.#line;
  }

  async #server(): Promise<AmqpServer> {
    const { auth, tls, heartbeat_secs: heartbeatMs } = this.#options;
    const { isSecure, host, port, virtualHost, user, password } = addressOf(this.#options);
    const login = auth === 'external' ? 'EXTERNAL' : ({ mechanism: 'PLAIN', user, password } as const);
    return { host, port, virtualHost, login, heartbeatMs, tls: isSecure ? await this.#tls(tls) : undefined };
  }

  async #tls(options: RabbitmqOptions['tls']): Promise<NonNullable<AmqpServer['tls']>> {
    if (options === undefined) return {};
    try {
      return await readTls(options, this.#context.world.files);
    } catch (cause) {
      throw new CannotConnect(cause instanceof Error ? cause.message : 'a file for TLS cannot be read', { cause });
    }
  }

  async #publish(line: Line, messages: readonly Publication[], deadline: Deadline): Promise<SinkAnswer> {
    const { connection, publisher } = line;
    const stop = new AbortController();
    const confirmationsBefore = publisher.confirmations;
    try {
      if (connection.blockedReason !== undefined && line.isBlockTold) {
        await deadline.within(publisher.unblocked(connection, stop.signal), 'the server blocks publishers');
      }
      const publishing = publisher.publish(connection, messages, stop.signal);
      const published = await deadline.within(publishing, 'waiting for confirmations');
      line.fruitlessTries = 0;
      line.isBlockTold = connection.blockedReason !== undefined;
      return this.#answerOf(published, messages.length, connection);
    } catch (error) {
      if (!(error instanceof Overdue) || deadline.signal.aborted) throw error;
      if (connection.blockedReason !== undefined) return this.#blocked(connection.blockedReason);
      line.fruitlessTries = publisher.confirmations > confirmationsBefore ? 0 : line.fruitlessTries + 1;
      if (line.fruitlessTries >= fruitlessTriesMax) connection.end(new ConnectionLost(error.message));
      throw error;
    } finally {
      stop.abort();
    }
  }

  #answerOf(published: Published, of: number, { blockedReason }: AmqpConnection): SinkAnswer {
    if (published.kind === 'confirmed') return { kind: 'delivered' };
    if (published.kind === 'unfinished') return this.#blocked(blockedReason ?? 'for a moment');
    const some = `${this.#peer}: ${published.count} of ${of} messages`;
    if (published.kind === 'refused') {
      return { kind: 'retryable', reason: `${some} were refused, a queue is full (${published.reason})` };
    }
    const { exchange, queue } = this.#options;
    const remedy = exchange === undefined ? `there is no queue ${queue}` : `bind a queue to exchange ${exchange}`;
    return { kind: 'blocked', reason: `${some} have no route, ${remedy} (${published.reason})` };
  }

  #blocked(reason: string): Extract<SinkAnswer, { kind: 'retryable' }> {
    return { kind: 'retryable', reason: `${this.#peer} blocks publishers: ${reason}` };
  }
}
