// The sink: takes a batch, makes rows of it, and inserts them in one statement, which is one transaction; in several
// where the server has shown that one takes too long (portion.ts).
//
// It keeps no queue and repeats nothing. As many connections as there are batches at once; one that was lost is opened
// again with the next batch, which is what sets the pace of reconnecting: the driver's backoff.
import {
  Deadline,
  type HealthAnswer,
  Overdue,
  type Signal,
  type Sink,
  type SinkAnswer,
  type SinkBatch,
  type SinkContext,
} from 'spillway/plugin';
import { CancelRequests } from './cancel-request.ts';
import { PostgresConnection } from './connection.ts';
import { answerFor, isUsableAfter } from './failure.ts';
import type { PostgresOptions } from './options.ts';
import { leavesTime, Portion } from './portion.ts';
import { type Rows, rowsOf } from './rows.ts';
import { Session } from './session.ts';
import type { Insert } from './table.ts';
import { type Target, targetOf } from './target.ts';

export function createPostgresSink(options: PostgresOptions, context: SinkContext): PostgresSink {
  return new PostgresSink(options, context);
}

export class PostgresSink implements Sink {
  readonly concurrencyMax: number;
  readonly #options: PostgresOptions;
  readonly #context: SinkContext;
  readonly #target: Target;
  readonly #cancels: CancelRequests;
  readonly #portion: Portion;
  /** Events of a batch, from its first one on, that are confirmed. It is the same object when it comes again. */
  readonly #done = new WeakMap<SinkBatch, number>();
  #idle: Session[] = [];
  /** Whose tables the health check looks at where each signal has its own. */
  readonly #seen = new Set<Signal>();

  constructor(options: PostgresOptions, context: SinkContext) {
    this.concurrencyMax = options.pool_size;
    this.#options = options;
    this.#context = context;
    this.#target = targetOf(options, context.id, context.world.files);
    this.#cancels = new CancelRequests(this.#target, context.world.clock);
    this.#portion = new Portion(context.timeoutMs);
    if (!options.table.includes('{signal}')) this.#seen.add('logs');
  }

  async deliver(batch: SinkBatch, { signal }: { readonly signal: AbortSignal }): Promise<SinkAnswer> {
    this.#seen.add(batch.signal);
    const answer = await this.#answer(signal, (session, deadline) => this.#insert(session, batch, deadline));
    const done = this.#done.get(batch);
    if (answer.kind !== 'retryable' || done === undefined) return answer;
    return { ...answer, reason: `${answer.reason}; ${done} of ${batch.events} events are in` };
  }

  async checkHealth({ signal }: { readonly signal: AbortSignal }): Promise<HealthAnswer> {
    const answer = await this.#answer(signal, async (session, deadline) => {
      for (const seen of this.#seen) await session.insertOf(seen, deadline);
      return { kind: 'delivered' };
    });
    if (answer.kind === 'retryable' || answer.kind === 'blocked') return answer;
    return { kind: 'healthy' };
  }

  async close(): Promise<void> {
    await Promise.all([...this.#idle.splice(0).map((session) => session.close()), this.#cancels.settled()]);
  }

  async #insert(session: Session, batch: SinkBatch, deadline: Deadline): Promise<SinkAnswer> {
    const { clock } = this.#context.world;
    const insert = await session.insertOf(batch.signal, deadline);
    for (let done = this.#done.get(batch) ?? 0; ; ) {
      const rows = rowsOf(batch, insert.columns, { first: done, rowsMax: this.#portion.rowsMax });
      if (rows.kind !== 'rows') return rows;
      const startedMs = clock.monotonic();
      const answer = await this.#commit(session, insert, rows, deadline);
      if (answer.kind !== 'delivered') return answer;
      const tookMs = clock.monotonic() - startedMs;
      this.#portion.committed({ rows: rows.count, tookMs });
      done += rows.count;
      if (done >= batch.events) return answer;
      this.#done.set(batch, done);
      if (!leavesTime(deadline.leftMs, tookMs)) {
        return { kind: 'retryable', reason: `${this.#target.peer}: the time is too short for a batch` };
      }
    }
  }

  /** Nothing counts as done before it is known to be safe, what was there already included. */
  async #commit(
    session: Session,
    insert: Insert,
    { parameters, count, changedEvents }: Extract<Rows, { kind: 'rows' }>,
    deadline: Deadline,
  ): Promise<SinkAnswer> {
    const { log } = this.#context;
    const inserted = await session.insert(insert, parameters, deadline).catch((error: unknown) => {
      if (error instanceof Overdue && !deadline.signal.aborted) this.#portion.ranOutOfTime(count);
      throw error;
    });
    if (inserted.isUnreplicated) return this.#unreplicated();
    if (inserted.count < count) {
      log.info('left out events that are in the table already', { events: count - inserted.count });
      const { isUnreplicated } = await session.confirmEarlier(deadline);
      if (isUnreplicated) return this.#unreplicated();
    }
    if (changedEvents > 0) {
      log.warn('replaced characters that PostgreSQL cannot hold', { events: changedEvents });
    }
    return { kind: 'delivered' };
  }

  #unreplicated(): SinkAnswer {
    return { kind: 'retryable', reason: `${this.#target.peer}: the wait for a standby was ended before it confirmed` };
  }

  /** Does the work on a connection, and answers for what went wrong. Only errors that are no server's are thrown. */
  async #answer(
    signal: AbortSignal,
    work: (session: Session, deadline: Deadline) => Promise<SinkAnswer>,
  ): Promise<SinkAnswer> {
    const { clock } = this.#context.world;
    const deadline = new Deadline({ clock, timeoutMs: this.#context.timeoutMs, signal });
    let session: Session | undefined;
    try {
      session = this.#takeIdle() ?? (await this.#open(deadline));
      return await work(session, deadline);
    } catch (error) {
      // What ended one connection has most likely ended the others, too.
      if (session !== undefined && !session.isOpen && !isUsableAfter(error)) this.#dropIdle();
      return answerFor(error, this.#target.peer);
    } finally {
      if (session !== undefined) this.#putBack(session);
    }
  }

  #takeIdle(): Session | undefined {
    this.#idle = this.#idle.filter(({ isOpen }) => isOpen);
    return this.#idle.pop();
  }

  #putBack(session: Session): void {
    if (!session.isOpen) return;
    // A health check beside as many batches as there may be has one more.
    if (this.#idle.length < this.#options.pool_size) this.#idle.push(session);
    else void session.close();
  }

  #dropIdle(): void {
    for (const session of this.#idle.splice(0)) void session.close();
  }

  async #open(deadline: Deadline): Promise<Session> {
    const { clock } = this.#context.world;
    const options = { target: this.#target, clock, cancels: this.#cancels };
    const connection = await PostgresConnection.open(options, deadline.shortened(this.#options.connect_timeout_secs));
    this.#context.log.debug('connected', { peer: this.#target.peer });
    return new Session(connection, this.#options);
  }
}
