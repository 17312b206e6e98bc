// A stream that belongs to one cursor of one buffer, which writes every event into it exactly once, in order.
//
// Beside the stream stands a hash, its companion: whose it is, and the last id that was written. Every batch is one
// MULTI/EXEC that adds its entries and sets that id, so both change together or not at all, on disk and on replicas,
// too. The next batch is sent after the one before was confirmed: below the stream's last id there is no hole, and
// whatever comes again at or below it is a repeat. Trimming and XDEL leave a stream's last id alone.
//
// What can go wrong
// - The answer to an EXEC is lost: nobody knows whether it was executed. The connection is given up, and the next one
//   reads the last id before anything is sent. An EXEC that was still under way then would set the companion after
//   it was read; a WATCH makes ours fail in that case, and it is read once more. A claim is safe in the same way.
// - The stream is deleted, or a fail-over takes both back: the stream's own last id is lower, and counts. What the
//   buffer still has above it is written (again): a repeat rather than a loss.
// - Somebody else writes into the stream: its last id is above the companion's. All later ids of ours could be below it
//   and would be taken for repeats, so this is an error, as is a companion that names another owner.
import { ErrorReply } from '@redis/client';
import { ConfigError, comparePlaces, type Deadline, type EventPlace, type KeyOwner, type Log } from 'spillway/plugin';
import type { Command, RedisConnection, Reply } from './connection.ts';
import type { Entry } from './entry.ts';
import { formatEntryId, noEntry, parseEntryId } from './entry-id.ts';
import { ConnectionLost, causeOfAbort } from './failure.ts';

export interface Appended {
  /** `conflict`: somebody changed the companion meanwhile. Nothing was written; what was known is forgotten. */
  readonly kind: 'appended' | 'conflict';
  /** Entries that the server refused for good while it took the others of the batch. */
  readonly refused: readonly ErrorReply[];
}

/** The key of the companion, on the same node of a cluster as the stream. */
export function companionOf(stream: string): string {
  // Of a name without braces all of it decides about the node, of one with braces what stands in them.
  return /\{[^}]+\}/.test(stream) ? `${stream}:spillway` : `{${stream}}:spillway`;
}

export class OwnedStream {
  readonly #name: string;
  readonly #companion: string;
  readonly #owner: KeyOwner;
  readonly #log: Log;
  /** The last id that this process knows to be confirmed. */
  #confirmed: EventPlace = noEntry;
  /** The connection on which the companion is watched, and the stream's last id as far as that connection knows. */
  #known: { readonly connection: RedisConnection; readonly newest: EventPlace } | undefined;

  constructor(name: string, owner: KeyOwner, log: Log) {
    this.#name = name;
    this.#companion = companionOf(name);
    this.#owner = owner;
    this.#log = log;
  }

  /** The id up to which everything was written. Rejects with a ConfigError if the stream is not this owner's. */
  async newest(connection: RedisConnection, deadline: Deadline): Promise<EventPlace> {
    if (this.#known?.connection !== connection) {
      this.#known = undefined;
      const newest = await this.#inspect(connection, deadline);
      this.#tellLoss(newest);
      this.#known = { connection, newest };
    }
    return this.#known.newest;
  }

  /**
   * Writes entries whose ids ascend from above {@link newest}, which was asked for on this connection; without any it
   * says once more how far was written. `also` goes into the same transaction, behind them.
   */
  async append(
    connection: RedisConnection,
    entries: readonly Entry[],
    also: readonly Command[],
    deadline: Deadline,
  ): Promise<Appended> {
    const last = entries.at(-1)?.id ?? (this.#known?.newest as EventPlace);
    // Until the answer is there, nothing is known; if it does not come, that is how it stays.
    this.#known = undefined;
    const add = entries.map((entry): Command => ['XADD', this.#name, formatEntryId(entry.id), ...entry.content]);
    const replies = await connection.send(
      [['MULTI'], ...add, ...also, this.#claim(last), ['EXEC'], ...this.#watch()],
      deadline,
    );
    const execIndex = 1 + add.length + also.length + 1;
    const result = replies[execIndex];
    if (result instanceof ErrorReply) throw causeOfAbort(replies.slice(0, execIndex + 1)) ?? result;
    if (!Array.isArray(result)) return { kind: 'conflict', refused: [] };
    const refused = (result as readonly Reply[]).slice(0, add.length).filter((reply) => reply instanceof ErrorReply);
    if (refused[0] !== undefined && refused.length === add.length) throw refused[0];
    if (refused.some(isIdTooSmall)) throw this.#foreignWriter('refused an id that is above the last one written');
    const [companion] = replies.slice(execIndex + 2);
    if (refused.length === 0 && this.#isMine(companion, last)) this.#known = { connection, newest: last };
    this.#confirmed = last;
    return { kind: 'appended', refused };
  }

  /** A fail-over to a replica that was behind, or a server that forgot: what it had confirmed has left our disk. */
  #tellLoss(newest: EventPlace): void {
    if (comparePlaces(newest, this.#confirmed) >= 0) return;
    this.#log.warn('the stream has lost entries that the server had confirmed', {
      stream: this.#name,
      confirmed: formatEntryId(this.#confirmed),
      found: formatEntryId(newest),
    });
    this.#confirmed = newest;
  }

  #claim(last: EventPlace): Command {
    const { buffer, cursor } = this.#owner;
    return ['HSET', this.#companion, 'buffer', buffer, 'cursor', cursor, 'last_id', formatEntryId(last)];
  }

  #watch(): readonly Command[] {
    return [
      ['WATCH', this.#companion],
      ['HMGET', this.#companion, 'buffer', 'cursor', 'last_id'],
    ];
  }

  #isMine(companion: Reply | undefined, last: EventPlace): boolean {
    if (!Array.isArray(companion)) return false;
    const { buffer, cursor } = this.#owner;
    return companion[0] === buffer && companion[1] === cursor && companion[2] === formatEntryId(last);
  }

  async #inspect(connection: RedisConnection, deadline: Deadline): Promise<EventPlace> {
    // The empty transaction proves that transactions are permitted. If MULTI alone were refused, what follows it would
    // be executed one by one.
    const commands: Command[] = [['MULTI'], ['EXEC'], ...this.#watch(), ['XINFO', 'STREAM', this.#name]];
    const replies = await connection.send(commands, deadline);
    const failed = replies.slice(0, 4).find((reply) => reply instanceof ErrorReply);
    if (failed !== undefined) throw failed;
    const [buffer, cursor, lastId] = companionFields(replies[3]);
    const newest = newestOf(replies[4]);
    if (buffer === null && cursor === null) {
      if (comparePlaces(newest, noEntry) === 0) return newest; // Nobody's, and empty: the first batch claims it.
      throw this.#notOurs(`has entries up to ${formatEntryId(newest)} and no companion that says whose it is`);
    }
    if (buffer !== this.#owner.buffer || cursor !== this.#owner.cursor) {
      throw this.#notOurs(`belongs to cursor ${cursor} of buffer ${buffer}`);
    }
    const written = parseEntryId(lastId ?? '') ?? noEntry;
    if (comparePlaces(newest, written) <= 0) return newest;
    throw this.#foreignWriter(`has entries up to ${formatEntryId(newest)}, this sink has written up to ${lastId}`);
  }

  #notOurs(found: string): ConfigError {
    return new ConfigError({
      code: 'SPILLWAY_CONFIG_OWNER',
      message:
        `claiming stream ${this.#name} for cursor ${this.#owner.cursor} of buffer ${this.#owner.buffer}: ` +
        `it ${found}. Nothing was written. Choose another stream, or use ids: auto if several are to write ` +
        `into it; if the other owner is gone for good, delete ${this.#name} and ${this.#companion}`,
    });
  }

  #foreignWriter(found: string): ConfigError {
    return new ConfigError({
      code: 'SPILLWAY_CONFIG_OWNER',
      message:
        `writing into stream ${this.#name}: it ${found}, so somebody else adds entries to it and ids no longer tell ` +
        'what was delivered. Nothing more is written. Stop the other writer and choose another stream, or use ' +
        'ids: auto',
    });
  }
}

function isIdTooSmall(reply: Reply): boolean {
  return reply instanceof ErrorReply && /equal or smaller/.test(reply.message);
}

/** What XINFO STREAM says, in RESP 2 a list of names and values. A stream that does not exist has no entry. */
function newestOf(reply: Reply | undefined): EventPlace {
  if (reply instanceof ErrorReply) {
    if (/no such key/i.test(reply.message)) return noEntry;
    throw reply;
  }
  const facts: readonly Reply[] = Array.isArray(reply) ? reply : [];
  const text = facts[facts.indexOf('last-generated-id') + 1];
  const id = typeof text === 'string' ? parseEntryId(text) : undefined;
  if (id === undefined) throw new ConnectionLost('XINFO STREAM was answered without a last-generated-id');
  return id;
}

function companionFields(reply: Reply | undefined): readonly (string | null)[] {
  const isText = (field: Reply): field is string | null => field === null || typeof field === 'string';
  if (Array.isArray(reply) && reply.length === 3 && reply.every(isText)) return reply;
  throw new ConnectionLost('HMGET was answered in a form that is not its own');
}
