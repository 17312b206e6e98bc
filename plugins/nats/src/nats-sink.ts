// The sink: takes a batch and publishes its events one behind the other over one connection.
//
// It keeps no queue and repeats nothing. A connection that was lost is opened again with the next batch, which is what
// sets the pace of reconnecting: the driver's backoff. One batch at a time, because a stream has one last message
// (stream-chain.ts says what follows from it). Within a batch answers are not waited for one by one.
import {
  checkOrigins,
  Deadline,
  type HealthAnswer,
  type KeyOwner,
  ownerOf,
  type Signal,
  type Sink,
  type SinkAnswer,
  type SinkBatch,
  type SinkContext,
} from 'spillway/plugin';
import { NatsConnection } from './connection.ts';
import { Delivery, type Route, type Writer } from './delivery.ts';
import { answerFor } from './failure.ts';
import { type Asker, factsOf, StreamError } from './jet-stream.ts';
import type { NatsOptions } from './options.ts';
import { Servers } from './servers.ts';
import { SharedStream } from './shared-stream.ts';
import type { StreamChain } from './stream-chain.ts';
import { Streams } from './streams.ts';
import { needsDurableBuffer } from './surroundings.ts';

/** How often a batch is tried again at once although not one event more has arrived. */
const standstillsMax = 3;

export function createNatsSink(options: NatsOptions, context: SinkContext): NatsSink {
  const isShared = options.deduplicate === 'window';
  return new NatsSink(options, context, isShared ? undefined : ownerOf(context, needsDurableBuffer));
}

export class NatsSink implements Sink {
  readonly concurrencyMax = 1;
  readonly #options: NatsOptions;
  readonly #context: SinkContext;
  readonly #servers: Servers;
  /** Undefined: the stream is shared. */
  readonly #owner: KeyOwner | undefined;
  readonly #streams: Streams | undefined;
  #connection: NatsConnection | undefined;

  constructor(options: NatsOptions, context: SinkContext, owner: KeyOwner | undefined) {
    const { url, connection_name: name, auth, tls, inbox_prefix: inboxPrefix } = options;
    const { world } = context;
    this.#options = options;
    this.#context = context;
    this.#owner = owner;
    this.#servers = new Servers(url, { name, auth, tls, inboxPrefix, world }, options.connect_timeout_secs);
    this.#streams =
      owner && new Streams(options, { owner, monotonic: () => world.clock.monotonic(), log: context.log });
  }

  async deliver(batch: SinkBatch, { signal }: { readonly signal: AbortSignal }): Promise<SinkAnswer> {
    if (this.#owner !== undefined) checkOrigins(batch, this.#owner.buffer);
    return await this.#answer(signal, async (asker) => {
      for (let standstills = 0; standstills < standstillsMax; standstills += 1) {
        const before = this.#progress();
        const delivery = new Delivery(asker, this.#options, this.#routeOf(asker, batch.signal));
        const outcome = await delivery.run(batch);
        if (delivery.repeats > 0 && standstills === 0) this.#sayRepeats(delivery.repeats);
        if (outcome.kind === 'answer') return outcome.answer;
        if (this.#progress() !== before) standstills = -1;
      }
      return { kind: 'retryable', reason: 'the stream ends elsewhere each time that its end was read' };
    });
  }

  async checkHealth({ signal }: { readonly signal: AbortSignal }): Promise<HealthAnswer> {
    const answer = await this.#answer(signal, async (asker) => {
      const { subject, stream, create_stream: create } = this.#options;
      const isKnown = stream !== undefined ? !stream.source.includes('{') : !subject.source.includes('{');
      if (this.#streams !== undefined && isKnown) {
        const chain = await this.#streams.of(asker, subject.render({ signal: 'logs' }), 'logs');
        // A stream that is missing is no illness where it is to be created.
        if (create === undefined) await this.#streams.prepare(asker, chain, 'logs');
        else await factsOf(asker, chain.stream);
      }
      return { kind: 'delivered' };
    });
    if (answer.kind === 'retryable' || answer.kind === 'blocked') return answer;
    return { kind: 'healthy' };
  }

  async close(): Promise<void> {
    this.#connection?.close();
    this.#connection = undefined;
  }

  /** Does the work on a connection, and answers for what went wrong. Only errors that are no server's are thrown. */
  async #answer(signal: AbortSignal, work: (asker: Asker) => Promise<SinkAnswer>): Promise<SinkAnswer> {
    const { timeoutMs, world } = this.#context;
    const deadline = new Deadline({ clock: world.clock, timeoutMs, signal });
    const connection = await this.#connect(deadline);
    if (!(connection instanceof NatsConnection)) return connection;
    try {
      return await work({ connection, deadline, domain: this.#options.domain });
    } catch (error) {
      this.#streams?.forgetNames();
      // After an answer of the stream nothing is under way. After anything else the connection has to go.
      if (!(error instanceof StreamError)) {
        connection.close();
        this.#servers.turn();
      }
      return answerFor(error, connection.peer);
    }
  }

  async #connect(deadline: Deadline): ReturnType<Servers['connect']> {
    if (this.#connection?.isOpen) return this.#connection;
    this.#connection = undefined;
    const connected = await this.#servers.connect(deadline);
    if (!(connected instanceof NatsConnection)) return connected;
    this.#connection = connected;
    this.#context.log.debug('connected', { server: connected.peer, version: connected.info.version });
    return connected;
  }

  /** Streams are prepared once for each pass over a batch, when the first event for them comes. */
  #routeOf(asker: Asker, signal: Signal): Route {
    const streams = this.#streams;
    if (streams === undefined) {
      const shared: Writer = new SharedStream(asker.connection, this.#context.origin.uuid !== undefined);
      return { writerFor: async () => shared };
    }
    const prepared = new Set<StreamChain>();
    return {
      async writerFor(subject) {
        const chain = await streams.of(asker, subject, signal);
        if (!prepared.has(chain)) await streams.prepare(asker, chain, signal);
        prepared.add(chain);
        return chain;
      },
    };
  }

  #progress(): string {
    return [...(this.#streams?.all ?? [])].map(({ newest }) => `${newest?.epoch}-${newest?.event}`).join();
  }

  #sayRepeats(events: number): void {
    this.#context.log.info('left out events that are in the stream already', { events });
  }
}
