// The sink: takes a batch, makes entries of it, and writes them in one transaction over one connection.
//
// It keeps no queue and repeats nothing. A connection that was lost is opened again with the next batch, which is what
// sets the pace of reconnecting: the driver's backoff. One batch at a time, because the next may be sent only after the
// one before was confirmed (owned-stream.ts says why).
import { ErrorReply } from '@redis/client';
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
import type { Command, RedisConnection, Reply } from './connection.ts';
import { type Entry, type EntryOptions, entriesOf } from './entry.ts';
import { noEntry } from './entry-id.ts';
import { answerFor, ConnectionLost, causeOfAbort } from './failure.ts';
import { Lane, Route } from './lane.ts';
import { clusterOf, keyOf, type RedisOptions, serverOf } from './options.ts';
import { OwnedStream } from './owned-stream.ts';
import { needsDurableBuffer, ownsStream } from './surroundings.ts';

/** How often a batch is tried again at once when somebody changed the companion meanwhile. */
const conflictsMax = 3;

/** No server refuses entries below this: the least that `proto-max-bulk-len` can be set to. */
const argumentBytesAlwaysTaken = 1024 * 1024;

/** Of the time that is left, how much of it replicas have. The rest is for the answer. */
const replicasTimeShare = 0.8;

export function createRedisSink(options: RedisOptions, context: SinkContext): RedisSink {
  const owner = ownsStream(options) ? ownerOf(context, needsDurableBuffer) : undefined;
  return new RedisSink(options, context, owner);
}

export class RedisSink implements Sink {
  readonly concurrencyMax = 1;
  readonly #options: RedisOptions;
  readonly #context: SinkContext;
  /** Undefined: nothing tells repeats. It is a list, or a stream whose server gives the ids. */
  readonly #owner: KeyOwner | undefined;
  readonly #route: Route;
  readonly #lanes = new Map<string, Lane>();
  readonly #streams = new Map<string, OwnedStream>();
  /** The key that was written last, whose server is asked for its health. */
  #lastKey: string;

  constructor(options: RedisOptions, context: SinkContext, owner: KeyOwner | undefined) {
    const { world, log } = context;
    this.#options = options;
    this.#context = context;
    this.#owner = owner;
    this.#lastKey = keyOf(options, 'logs');
    const connectTimeoutMs = options.connect_timeout_secs;
    this.#route = new Route({ server: serverOf(options), cluster: clusterOf(options), connectTimeoutMs, world, log });
  }

  async deliver(batch: SinkBatch, { signal }: { readonly signal: AbortSignal }): Promise<SinkAnswer> {
    const key = keyOf(this.#options, batch.signal);
    this.#lastKey = key;
    return await this.#answer(key, signal, async (connection, deadline) => {
      if (this.#owner === undefined) return await this.#deliverUnowned(connection, batch, deadline);
      checkOrigins(batch, this.#owner.buffer);
      return await this.#deliverOwned(connection, batch, this.#streamOf(key, this.#owner), deadline);
    });
  }

  async checkHealth({ signal }: { readonly signal: AbortSignal }): Promise<HealthAnswer> {
    const answer = await this.#answer(this.#lastKey, signal, async (connection, deadline) => {
      const [reply] = await connection.send([['PING']], deadline);
      if (reply instanceof ErrorReply) throw reply;
      return { kind: 'delivered' };
    });
    if (answer.kind === 'retryable' || answer.kind === 'blocked') return answer;
    return { kind: 'healthy' };
  }

  async close(): Promise<void> {
    for (const lane of this.#lanes.values()) lane.close();
  }

  /** Does the work on a connection, and answers for what went wrong. Only errors that are no server's are thrown. */
  async #answer(
    key: string,
    signal: AbortSignal,
    work: (connection: RedisConnection, deadline: Deadline) => Promise<SinkAnswer>,
  ): Promise<SinkAnswer> {
    const { timeoutMs, world } = this.#context;
    const deadline = new Deadline({ clock: world.clock, timeoutMs, signal });
    try {
      return await this.#laneOf(key).run(deadline, (connection) => work(connection, deadline));
    } catch (error) {
      return answerFor(error);
    }
  }

  async #deliverOwned(
    connection: RedisConnection,
    batch: SinkBatch,
    stream: OwnedStream,
    deadline: Deadline,
  ): Promise<SinkAnswer> {
    const { wait_replicas: replicas } = this.#options;
    for (let conflicts = 0; conflicts < conflictsMax; conflicts += 1) {
      const newest = await stream.newest(connection, deadline);
      const found = entriesOf(batch, newest, this.#entryOptions());
      if (found.kind !== 'entries') return found;
      const { entries, repeats } = found;
      if (repeats > 0) this.#context.log.info('left out events that are in the stream already', { events: repeats });
      // A WAIT is about what its own connection has written: with replicas, something is written in any case.
      if (entries.length === 0 && replicas === undefined) return { kind: 'delivered' };
      const tooLarge = await tooLargeAnswer(connection, entries, deadline);
      if (tooLarge !== undefined) return tooLarge;
      const { kind, refused } = await stream.append(connection, entries, this.#trim(batch.signal), deadline);
      if (kind === 'appended') return (await this.#missingReplicas(connection, deadline)) ?? delivered(refused);
    }
    return { kind: 'retryable', reason: 'somebody else keeps changing the companion of the stream' };
  }

  async #deliverUnowned(connection: RedisConnection, batch: SinkBatch, deadline: Deadline): Promise<SinkAnswer> {
    const found = entriesOf(batch, noEntry, this.#entryOptions());
    if (found.kind !== 'entries') return found;
    const tooLarge = await tooLargeAnswer(connection, found.entries, deadline);
    if (tooLarge !== undefined) return tooLarge;
    await connection.proveTransactions(deadline);
    const add = this.#additions(batch.signal, found.entries);
    const replies = await connection.send([['MULTI'], ...add, ...this.#trim(batch.signal), ['EXEC']], deadline);
    const result = replies.at(-1);
    if (!Array.isArray(result)) throw causeOfAbort(replies) ?? new ConnectionLost('EXEC was answered without a list');
    const refused = (result as readonly Reply[]).slice(0, add.length).filter((reply) => reply instanceof ErrorReply);
    if (refused.length === add.length) throw refused[0] as ErrorReply;
    return (await this.#missingReplicas(connection, deadline)) ?? delivered(refused);
  }

  #additions(signal: Signal, entries: readonly Entry[]): readonly Command[] {
    const key = keyOf(this.#options, signal);
    if (this.#options.data_type === 'stream') return entries.map(({ content }) => ['XADD', key, '*', ...content]);
    const push = this.#options.list?.method === 'lpush' ? 'LPUSH' : 'RPUSH';
    return [[push, key, ...entries.flatMap(({ content }) => content)]];
  }

  #trim(signal: Signal): readonly Command[] {
    const { max_length: length, data_type, list } = this.#options;
    if (length === undefined) return [];
    const key = keyOf(this.#options, signal);
    if (data_type === 'stream') return [['XTRIM', key, 'MAXLEN', '~', String(length)]];
    // The newest are where they are pushed.
    return [['LTRIM', key, ...(list?.method === 'lpush' ? ['0', String(length - 1)] : [String(-length), '-1'])]];
  }

  /** What to answer while too few replicas have what this connection has written. */
  async #missingReplicas(connection: RedisConnection, deadline: Deadline): Promise<SinkAnswer | undefined> {
    const { wait_replicas: wanted } = this.#options;
    if (wanted === undefined) return undefined;
    const waitMs = Math.max(1, Math.floor(deadline.leftMs * replicasTimeShare));
    const [reply] = await connection.send([['WAIT', String(wanted), String(waitMs)]], deadline);
    if (reply instanceof ErrorReply) throw reply;
    if (typeof reply === 'number' && reply >= wanted) return undefined;
    return { kind: 'retryable', reason: `${connection.peer}: ${reply} of ${wanted} replicas have confirmed the batch` };
  }

  #laneOf(key: string): Lane {
    const lane = this.#lanes.get(key) ?? new Lane(key, this.#route);
    this.#lanes.set(key, lane);
    return lane;
  }

  #streamOf(key: string, owner: KeyOwner): OwnedStream {
    const stream = this.#streams.get(key) ?? new OwnedStream(key, owner, this.#context.log);
    this.#streams.set(key, stream);
    return stream;
  }

  #entryOptions(): EntryOptions {
    const { payload, data_type, list } = this.#options;
    const hasKey = this.#owner === undefined && this.#context.origin.uuid !== undefined;
    return { payload, shape: data_type === 'stream' ? 'fields' : (list?.element ?? 'envelope'), hasKey };
  }
}

/** A server hangs up on an argument that is too long, often before its reason arrives: so it is asked before. */
async function tooLargeAnswer(
  connection: RedisConnection,
  entries: readonly Entry[],
  deadline: Deadline,
): Promise<SinkAnswer | undefined> {
  const longest = entries.reduce((most, { dataBytes }) => Math.max(most, dataBytes), 0);
  if (longest <= argumentBytesAlwaysTaken) return undefined;
  const most = await connection.argumentBytesMax(deadline);
  if (longest <= most) return undefined;
  return { kind: 'too_large', reason: `${longest} bytes are more than proto-max-bulk-len, ${most}` };
}

/** Entries that were refused while the others were taken cannot be sent again: their ids are below the last one now. */
function delivered(refused: readonly ErrorReply[]): SinkAnswer {
  const [first] = refused;
  if (first === undefined) return { kind: 'delivered' };
  return { kind: 'delivered', refused: { events: refused.length, reason: first.message } };
}
