// The sink: takes a batch, makes entries of it, and writes them in one transaction over one connection.
//
// It keeps no queue and repeats nothing. A connection that was lost is opened again with the next batch, which is what
// sets the pace of reconnecting: the driver's backoff. One batch at a time, because the next may be sent only after the
// one before was confirmed (owned-stream.ts says why).
import { ErrorReply } from '@redis/client';
import {
  ConfigError,
  type HealthAnswer,
  type Signal,
  type Sink,
  type SinkAnswer,
  type SinkBatch,
  type SinkContext,
} from 'spillway/plugin';
import { type Command, type Patience, RedisConnection, type Reply, type Server } from './connection.ts';
import { type Entry, type EntryOptions, entriesOf } from './entry.ts';
import { noEntry, parseOrigin } from './entry-id.ts';
import { answerFor, causeOfAbort, isStale } from './failure.ts';
import { type RedisOptions, streamName } from './options.ts';
import { OwnedStream, type StreamOwner } from './owned-stream.ts';

/** How often a batch is tried again at once when somebody changed the companion meanwhile. */
const conflictsMax = 3;

/** No server refuses entries below this: the least that `proto-max-bulk-len` can be set to. */
const bulkBytesAlwaysTaken = 1024 * 1024;

export function createRedisSink(options: RedisOptions, context: SinkContext): RedisSink {
  const { uuid, cursor, buffer } = context.origin;
  if (options.ids === 'auto') return new RedisSink(options, context, undefined);
  if (uuid !== undefined) return new RedisSink(options, context, { buffer: uuid, cursor });
  throw new ConfigError({
    code: 'SPILLWAY_CONFIG_INVALID',
    message:
      `making sink ${context.id}: ids: key needs a buffer whose keys outlive the process, and ${buffer} is none. ` +
      'Nothing was sent. Give it a disk buffer, or set ids: auto, with which events can be repeated after a failure',
  });
}

export class RedisSink implements Sink {
  readonly concurrencyMax = 1;
  readonly #options: RedisOptions;
  readonly #context: SinkContext;
  readonly #server: Server;
  /** Undefined: the server gives the ids. */
  readonly #owner: StreamOwner | undefined;
  readonly #streams = new Map<string, OwnedStream>();
  #connection: RedisConnection | undefined;
  /** The longest argument that this connection's server takes, once it was asked. */
  #bulkBytesMax: number | undefined;

  constructor(options: RedisOptions, context: SinkContext, owner: StreamOwner | undefined) {
    const { url = options.endpoint, username, password } = options;
    this.#options = options;
    this.#context = context;
    this.#owner = owner;
    this.#server = { url: url as string, username, password };
  }

  async deliver(batch: SinkBatch, { signal }: { readonly signal: AbortSignal }): Promise<SinkAnswer> {
    return await this.#answer(signal, async (connection, patience) => {
      if (this.#owner === undefined) return await this.#deliverUnowned(connection, batch, patience);
      this.#checkOrigins(batch, this.#owner);
      return await this.#deliverOwned(connection, batch, this.#streamOf(batch.signal, this.#owner), patience);
    });
  }

  async checkHealth({ signal }: { readonly signal: AbortSignal }): Promise<HealthAnswer> {
    const answer = await this.#answer(signal, async (connection, patience) => {
      const [reply] = await connection.send([['PING']], patience);
      if (reply instanceof ErrorReply) throw reply;
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
  async #answer(
    signal: AbortSignal,
    work: (connection: RedisConnection, patience: Patience) => Promise<SinkAnswer>,
  ): Promise<SinkAnswer> {
    const patience = { deadlineMs: this.#context.world.clock.monotonic() + this.#context.timeoutMs, signal };
    try {
      return await work(await this.#connect(patience), patience);
    } catch (error) {
      if (error instanceof ErrorReply && isStale(error)) this.#connection?.close();
      return answerFor(error);
    }
  }

  async #connect({ deadlineMs, signal }: Patience): Promise<RedisConnection> {
    if (this.#connection?.isOpen) return this.#connection;
    const { clock } = this.#context.world;
    const connectByMs = Math.min(deadlineMs, clock.monotonic() + this.#options.connect_timeout_secs);
    this.#bulkBytesMax = undefined;
    this.#connection = await RedisConnection.open(this.#server, clock, { deadlineMs: connectByMs, signal });
    this.#context.log.debug('connected');
    return this.#connection;
  }

  async #deliverOwned(
    connection: RedisConnection,
    batch: SinkBatch,
    stream: OwnedStream,
    patience: Patience,
  ): Promise<SinkAnswer> {
    for (let conflicts = 0; conflicts < conflictsMax; conflicts += 1) {
      const newest = await stream.newest(connection, patience);
      const found = entriesOf(batch, newest, this.#entryOptions());
      if (found.kind !== 'entries') return found;
      const { entries, repeats } = found;
      if (repeats > 0) this.#context.log.info('left out events that are in the stream already', { events: repeats });
      if (entries.length === 0) return { kind: 'delivered' };
      const tooLarge = await this.#tooLarge(connection, entries, patience);
      if (tooLarge !== undefined) return tooLarge;
      const { kind, refused } = await stream.append(connection, entries, this.#trim(batch.signal), patience);
      if (kind === 'appended') return delivered(refused);
    }
    return { kind: 'retryable', reason: 'somebody else keeps changing the companion of the stream' };
  }

  async #deliverUnowned(connection: RedisConnection, batch: SinkBatch, patience: Patience): Promise<SinkAnswer> {
    const found = entriesOf(batch, noEntry, this.#entryOptions());
    if (found.kind !== 'entries') return found;
    const tooLarge = await this.#tooLarge(connection, found.entries, patience);
    if (tooLarge !== undefined) return tooLarge;
    const stream = streamName(this.#options.stream, batch.signal);
    const add = found.entries.map(({ fields }): Command => ['XADD', stream, '*', ...fields]);
    const commands = [['MULTI'], ...add, ...this.#trim(batch.signal), ['EXEC']];
    const replies = await connection.send(commands, patience);
    const result = replies.at(-1);
    if (!Array.isArray(result)) throw causeOfAbort(replies) ?? new Error('EXEC answered nothing, without a WATCH');
    const refused = (result as readonly Reply[]).slice(0, add.length).filter((reply) => reply instanceof ErrorReply);
    if (refused.length === add.length) throw refused[0] as ErrorReply;
    return delivered(refused);
  }

  /** A server hangs up on an argument that is too long, often before its reason arrives: so it is asked before. */
  async #tooLarge(
    connection: RedisConnection,
    entries: readonly Entry[],
    patience: Patience,
  ): Promise<SinkAnswer | undefined> {
    const longest = entries.reduce((most, { dataBytes }) => Math.max(most, dataBytes), 0);
    if (longest <= bulkBytesAlwaysTaken) return undefined;
    this.#bulkBytesMax ??= await askBulkBytesMax(connection, patience);
    if (longest <= this.#bulkBytesMax) return undefined;
    return { kind: 'too_large', reason: `${longest} bytes are more than proto-max-bulk-len, ${this.#bulkBytesMax}` };
  }

  #trim(signal: Signal): readonly Command[] {
    const { max_length: length, stream } = this.#options;
    return length === undefined ? [] : [['XTRIM', streamName(stream, signal), 'MAXLEN', '~', String(length)]];
  }

  #streamOf(signal: Signal, owner: StreamOwner): OwnedStream {
    const name = streamName(this.#options.stream, signal);
    const stream = this.#streams.get(name) ?? new OwnedStream(name, owner);
    this.#streams.set(name, stream);
    return stream;
  }

  /** A key is one only together with its buffer: an id of another buffer could be that of another event. */
  #checkOrigins({ records }: SinkBatch, { buffer }: StreamOwner): void {
    const stranger = records.find(({ origin }) => parseOrigin(origin)?.uuid !== buffer);
    if (stranger === undefined) return;
    throw new Error(`record ${stranger.id} should come from buffer ${buffer}, its origin is ${stranger.origin}`);
  }

  #entryOptions(): EntryOptions {
    const { origin } = this.#context;
    return { payload: this.#options.payload, hasKeyField: this.#options.ids === 'auto' && origin.uuid !== undefined };
  }
}

/** Entries that were refused while the others were taken cannot be sent again: their ids are below the last one now. */
function delivered(refused: readonly ErrorReply[]): SinkAnswer {
  const [first] = refused;
  if (first === undefined) return { kind: 'delivered' };
  return { kind: 'delivered', refused: { events: refused.length, reason: first.message } };
}

/** Unlimited where the server does not tell: most users may not ask. */
async function askBulkBytesMax(connection: RedisConnection, patience: Patience): Promise<number> {
  const [reply] = await connection.send([['CONFIG', 'GET', 'proto-max-bulk-len']], patience);
  const limit = Array.isArray(reply) ? Number(reply[1]) : Number.NaN;
  return limit > 0 ? limit : Number.POSITIVE_INFINITY;
}
