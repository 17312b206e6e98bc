// The sink: takes a batch, publishes its events one message each, and answers when the server has answered for all.
//
// It keeps no queue. A connection that was lost is opened again with the next batch, which is what sets the pace of
// reconnecting: the driver's backoff. One batch at a time, over one connection, under one client id: the order of the
// events is that of the messages, and a server that hears the same client again ends the former connection, with all
// that it had not read from it, before it answers the new one.
//
// A message that is refused stops the batch. Those under way behind it may have been taken; they are remembered and not
// sent again (session.ts), so in order to keep the order even then, `max_in_flight` has to be 1. After a refusal the
// next message goes alone, until one is taken: when a server begins to allow what it forbade, nothing overtakes.
import { createHash } from 'node:crypto';
import {
  Deadline,
  type HealthAnswer,
  type Sink,
  type SinkAnswer,
  type SinkBatch,
  type SinkContext,
} from 'spillway/plugin';
import { MqttConnection } from './connection.ts';
import { answerFor, type Failure, noMatchingSubscribers, pubackFailure, worseOf } from './failure.ts';
import { type MessageOptions, messagesOf } from './message.ts';
import { type Account, accountOf, type MqttOptions } from './options.ts';
import { type Message, publishBytes } from './packet.ts';
import { answerBytesMax } from './packet-reader.ts';
import { type EventKey, Session } from './session.ts';
import type { Server } from './socket.ts';

export function createMqttSink(options: MqttOptions, context: SinkContext): MqttSink {
  return new MqttSink(options, context);
}

/** What came of a batch so far. */
interface Progress {
  failure: Failure | undefined;
  withoutSubscriber: number;
}

export class MqttSink implements Sink {
  readonly concurrencyMax = 1;
  readonly #options: MqttOptions;
  readonly #context: SinkContext;
  readonly #account: Account;
  readonly #server: Server;
  readonly #clientId: string;
  readonly #messages: MessageOptions;
  readonly #session = new Session();
  #connection: MqttConnection | undefined;
  /** A session of this client that this process began, or resumed. */
  #hasSession = false;
  /** The last word on a message was a refusal. */
  #isProbing = false;
  #hasWarned = false;
  /** The connection whose end was the answer to a batch. */
  #answeredFor: MqttConnection | undefined;
  #hasWarnedOfLoss = false;

  constructor(options: MqttOptions, context: SinkContext) {
    this.#options = options;
    this.#context = context;
    this.#account = accountOf(options);
    const { host, port, tls } = this.#account;
    this.#server = { host, port, tls, peer: host.includes(':') ? `[${host}]:${port}` : `${host}:${port}` };
    this.#clientId = options.client_id ?? clientIdOf(context);
    this.#messages = {
      version: options.protocol_version,
      topic: options.topic,
      payload: options.payload,
      contentType: options.content_type,
      expirySecs: options.message_expiry_secs,
      hasKeys: context.origin.uuid !== undefined,
    };
  }

  async deliver(batch: SinkBatch, { signal }: { readonly signal: AbortSignal }): Promise<SinkAnswer> {
    const deadline = this.#deadline(signal);
    this.#session.begin(batch);
    const progress: Progress = { failure: undefined, withoutSubscriber: 0 };
    const failure = await this.#attempt(deadline, 'waiting for PUBACK', async (connection) => {
      await this.#publish(connection, batch, progress);
    });
    this.#tellOfSubscribers(progress);
    if (failure !== undefined) return failure;
    if (progress.failure !== undefined) return this.#withoutSecrets(progress.failure);
    this.#session.end(batch);
    return { kind: 'delivered' };
  }

  async checkHealth({ signal }: { readonly signal: AbortSignal }): Promise<HealthAnswer> {
    const ping = (connection: MqttConnection): Promise<void> => connection.ping();
    const failure = await this.#attempt(this.#deadline(signal), 'waiting for PINGRESP', ping);
    if (failure === undefined) return { kind: 'healthy' };
    return { kind: failure.kind === 'blocked' ? 'blocked' : 'retryable', reason: failure.reason };
  }

  /** Ends the session as well: what belongs to it on this side ends with the sink. */
  async close(): Promise<void> {
    const connection = this.#connection;
    this.#connection = undefined;
    await connection?.end(!this.#options.clean_session);
  }

  #deadline(signal: AbortSignal): Deadline {
    const { world, timeoutMs } = this.#context;
    return new Deadline({ clock: world.clock, timeoutMs, signal });
  }

  /** Does the work on a connection, and answers what went wrong with that. Only errors that are bugs are thrown. */
  async #attempt(
    deadline: Deadline,
    doing: string,
    work: (connection: MqttConnection) => Promise<void>,
  ): Promise<Failure | undefined> {
    try {
      const connection = await this.#connect(deadline);
      await deadline.within(work(connection), doing);
      return undefined;
    } catch (error) {
      const failure = answerFor(error, this.#server.peer);
      // What is under way on it, and the work that waits for it, ends with it.
      this.#connection?.giveUp(failure);
      this.#answeredFor = this.#connection;
      return this.#withoutSecrets(failure);
    }
  }

  async #connect(deadline: Deadline): Promise<MqttConnection> {
    if (this.#connection?.isOpen) return this.#connection;
    this.#tellOfLoss();
    const { protocol_version: version, clean_session: isAlwaysClean, keep_alive: keepAliveSecs } = this.#options;
    const { user, password } = this.#account;
    // MQTT 5 forbids to go on with a session that this side knows nothing of; 3.1.1 cannot begin one that lasts.
    const isClean = isAlwaysClean || (version === '5' && !this.#hasSession);
    const sessionExpirySecs = isAlwaysClean ? 0 : Math.ceil(this.#options.session_expiry_secs / 1000);
    const { clock, files } = this.#context.world;
    const connection = await MqttConnection.open(
      {
        server: this.#server,
        connect: {
          version,
          clientId: this.#clientId,
          isClean,
          keepAliveSecs,
          user,
          password,
          sessionExpirySecs,
          answerBytesMax,
        },
        isRetained: this.#options.retain,
        isClientIdChosen: this.#options.client_id !== undefined,
        inFlightMax: this.#options.max_in_flight,
        clock,
        files,
      },
      deadline.shortened(this.#options.connect_timeout_secs),
    );
    this.#connection = connection;
    this.#hasSession = true;
    if (!connection.isSessionPresent) this.#session.reset();
    this.#context.log.debug('connected', { resumed: connection.isSessionPresent });
    return connection;
  }

  async #publish(connection: MqttConnection, batch: SinkBatch, progress: Progress): Promise<void> {
    const skip = {
      record: this.#session.isTakenWhole.bind(this.#session),
      event: this.#session.isTaken.bind(this.#session),
    };
    for (const found of messagesOf(batch, this.#messages, skip)) {
      const unfit = found.kind === 'message' ? tooLarge(found.message, connection.packetBytesMax) : found;
      if (found.kind !== 'message' || unfit !== undefined) {
        const { kind, reason } = unfit as Failure;
        progress.failure = worseOf(progress.failure, { kind, reason });
        break;
      }
      const { event } = found;
      await connection.room(publishBytes(found.message));
      if (progress.failure !== undefined) break;
      const publish = { ...this.#session.send(event), isRetained: this.#options.retain };
      connection.publish(found.message, publish, (puback) => this.#settle(event, puback, progress));
      if (this.#isProbing) await connection.settled();
    }
    await connection.settled();
  }

  #settle(event: EventKey, puback: Parameters<typeof pubackFailure>[0], progress: Progress): void {
    let failure = pubackFailure(puback);
    if (puback.code === noMatchingSubscribers) {
      progress.withoutSubscriber += 1;
      const reason = 'the server had no subscriber for a message (0x10)';
      if (this.#options.require_subscribers) failure = { kind: 'retryable', reason };
    }
    if (failure !== undefined) progress.failure = worseOf(progress.failure, failure);
    this.#isProbing = progress.failure !== undefined;
    this.#session.settle(event, failure === undefined);
  }

  /** A client id that two have costs each of them a connection for every batch: that nobody would see otherwise. */
  #tellOfLoss(): void {
    const failure = this.#connection?.failure;
    if (failure?.kind !== 'blocked' || this.#connection === this.#answeredFor || this.#hasWarnedOfLoss) return;
    this.#hasWarnedOfLoss = true;
    const { reason } = this.#withoutSecrets(failure);
    this.#context.log.warn('the connection was lost while nothing was sent', { reason });
  }

  #tellOfSubscribers({ withoutSubscriber: events }: Progress): void {
    if (events === 0) return;
    const { log } = this.#context;
    const text = 'the server had no subscriber for some messages';
    if (this.#hasWarned) log.debug(text, { events });
    else log.warn(text, { events });
    this.#hasWarned = true;
  }

  /** A server may repeat what it was given. */
  #withoutSecrets(failure: Failure): Failure {
    const { password } = this.#account;
    return password === undefined ? failure : { ...failure, reason: failure.reason.replaceAll(password, '***') };
  }
}

function tooLarge(message: Message, bytesMax: number): Failure | undefined {
  const bytes = publishBytes(message);
  if (bytes <= bytesMax) return undefined;
  return { kind: 'too_large', reason: `a message of ${bytes} bytes is more than the server takes, ${bytesMax}` };
}

/**
 * The same after a restart, so that the server knows whose connection to end, and of another buffer or cursor another.
 * Every server takes up to 23 letters and digits.
 */
function clientIdOf({ origin, world }: SinkContext): string {
  const { uuid, cursor } = origin;
  const seed = uuid === undefined ? world.random.bytes(16) : `${uuid}/${cursor}`;
  return `spillway${createHash('sha256').update(seed).digest('hex').slice(0, 15)}`;
}
