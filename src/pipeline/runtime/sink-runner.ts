// A sink in the pipeline: made, asked for its health, driven, and made again when it crashes. Its cursor stays the
// same; what a crashed sink had in its hands was handed back and comes again, in order.

import { within } from '../../platform/pause.ts';
import type { CursorContract } from '../../stage/buffer-contract.ts';
import type { Log } from '../contract/log.ts';
import type { SinkSettings } from '../contract/settings.ts';
import type { HealthAnswer, Sink, SinkContext, SinkOrigin } from '../contract/sink.ts';
import type { SinkStatus } from '../contract/status.ts';
import type { World } from '../contract/world.ts';
import { DeadLetters, type LetterTurns } from '../delivery/dead-letters.ts';
import { GuardedSink } from '../delivery/guarded-sink.ts';
import { type DriverStatus, SinkDriver } from '../delivery/sink-driver.ts';
import { supervise } from './supervision.ts';

export interface SinkRunnerOptions {
  readonly settings: SinkSettings;
  readonly cursor: CursorContract;
  readonly origin: SinkOrigin;
  readonly letterTurns: LetterTurns;
  readonly world: World;
  readonly log: Log;
  /** Aborted when the sink is not to be made anew. */
  readonly stopping: AbortSignal;
}

type Totals = Pick<DriverStatus, 'delivered' | 'refusedEvents' | 'rejectedEvents' | 'retries'>;

const stoppedAnswer: HealthAnswer = { kind: 'retryable', reason: 'the sink was stopped' };

const nothing: Totals = { delivered: { events: 0, bytes: 0 }, refusedEvents: 0, rejectedEvents: 0, retries: 0 };

export class SinkRunner {
  readonly #options: SinkRunnerOptions;
  readonly #log: Log;
  readonly #health = Promise.withResolvers<HealthAnswer>();
  #driver: SinkDriver | undefined;
  /** What drivers before this one have counted. */
  #past: Totals = nothing;
  #between: { readonly state: 'starting' | 'waiting' | 'stopped'; readonly reason?: string; readonly sinceMs: number };
  #restarts = 0;
  readonly #stopped = Promise.withResolvers<HealthAnswer>();
  #isStopped = false;
  #isLast = false;

  constructor(options: SinkRunnerOptions) {
    this.#options = options;
    this.#log = options.log.child({ sink: options.settings.id });
    this.#between = { state: 'starting', sinceMs: options.world.clock.now() };
  }

  /** What the first health check said; healthy where there is none. Rejects as `run` does. */
  get health(): Promise<HealthAnswer> {
    return this.#health.promise;
  }

  /** Resolves when the buffer is closed or the sink was stopped. Rejects with a ConfigError, or a bug of ours. */
  async run(): Promise<void> {
    const { settings, world, stopping } = this.#options;
    const now = (): number => world.clock.now();
    try {
      await supervise(() => this.#live(), {
        what: `sink ${settings.id}`,
        clock: world.clock,
        random: world.random,
        log: this.#log,
        stopping,
        crashed: (reason) => {
          this.#between = { state: 'waiting', reason, sinceMs: now() };
          this.#restarts += 1;
          this.#health.resolve({ kind: 'retryable', reason });
        },
      });
    } catch (cause) {
      this.#health.promise.catch(() => undefined); // Most sinks need not be healthy.
      this.#health.reject(cause);
      throw cause;
    } finally {
      this.#between = { state: 'stopped', sinceMs: now() };
      this.#health.resolve(stoppedAnswer);
    }
  }

  /** Takes nothing more, waits so long for what is at the sink, hands back the rest. May be called again, sooner. */
  async stop(afterMs: number): Promise<void> {
    this.#isStopped = true;
    this.#stopped.resolve(stoppedAnswer);
    await this.#driver?.stop({ afterMs });
  }

  /** Nothing is appended to its buffer any more. */
  expectNoMore(): void {
    this.#isLast = true;
    this.#driver?.expectNoMore();
  }

  status(): SinkStatus {
    const { id, definition, buffer } = this.#options.settings;
    const driver = this.#driver?.status();
    const { state, reason, sinceMs } = driver ?? { reason: undefined, ...this.#between };
    const totals = driver === undefined ? this.#past : sum(this.#past, driver);
    const inFlight = driver?.inFlight ?? 0;
    const { delivered, refusedEvents, rejectedEvents, retries } = totals;
    const counts = { delivered, refusedEvents, rejectedEvents, retries, inFlight };
    return { id, type: definition.type, buffer, state, reason, sinceMs, restarts: this.#restarts, ...counts };
  }

  async #live(): Promise<void> {
    const { settings, cursor, world } = this.#options;
    const sink = await settings.definition.create(settings.options as never, this.#context());
    const deadLetters = this.#openLetters();
    try {
      await this.#checkHealth(sink);
      if (this.#isStopped) return;
      const signals = settings.definition.signals?.(settings.options as never);
      await this.#drive(
        new SinkDriver({ cursor, sink, signals, settings: settings.delivery, deadLetters, world, log: this.#log }),
      );
    } finally {
      await deadLetters?.close();
      await this.#close(sink);
    }
  }

  #openLetters(): DeadLetters | undefined {
    const { settings, letterTurns, world } = this.#options;
    const letters = settings.delivery.deadLetters;
    if (letters === undefined) return undefined;
    return new DeadLetters({
      ...letters,
      sink: settings.id,
      world,
      log: this.#log,
      turn: letterTurns.of(letters.path),
    });
  }

  /** How a sink closes is its own affair: it keeps nobody waiting, and hides no crash. */
  async #close(sink: Sink): Promise<void> {
    const { settings, world } = this.#options;
    try {
      const closing = Promise.resolve(sink.close?.()).then(() => 'closed');
      if ((await within(world.clock, settings.delivery.request.timeoutMs, closing)) === 'closed') return;
      this.#log.warn('the sink has not closed within its request timeout, and is left to itself');
    } catch (cause) {
      this.#log.warn('the sink did not close well', { error: cause });
    }
  }

  async #drive(driver: SinkDriver): Promise<void> {
    this.#driver = driver;
    try {
      const running = driver.run();
      if (this.#isLast) driver.expectNoMore();
      await running;
    } finally {
      this.#past = sum(this.#past, driver.status());
      this.#driver = undefined;
    }
  }

  /** Says what is wrong before the first batch does; never a reason not to start. */
  async #checkHealth(sink: Sink): Promise<void> {
    const { settings, world } = this.#options;
    if (sink.checkHealth === undefined || !settings.delivery.healthcheck.enabled) {
      this.#health.resolve({ kind: 'healthy' });
      return;
    }
    const guarded = new GuardedSink({ sink, clock: world.clock, timeoutMs: settings.delivery.request.timeoutMs });
    const answer = await Promise.race([guarded.checkHealth(), this.#stopped.promise]);
    guarded.forget();
    this.#health.resolve(answer);
    if (this.#isStopped) return;
    if (answer.kind === 'healthy') this.#log.info('the sink is healthy');
    else this.#log.warn(`the sink is not healthy (${answer.kind})`, { reason: answer.reason });
  }

  #context(): SinkContext {
    const { settings, origin, world } = this.#options;
    const { timeoutMs, headers } = settings.delivery.request;
    return { id: settings.id, origin, timeoutMs, headers, world, log: this.#log };
  }
}

function sum(one: Totals, other: Totals): Totals {
  return {
    delivered: {
      events: one.delivered.events + other.delivered.events,
      bytes: one.delivered.bytes + other.delivered.bytes,
    },
    refusedEvents: one.refusedEvents + other.refusedEvents,
    rejectedEvents: one.rejectedEvents + other.rejectedEvents,
    retries: one.retries + other.retries,
  };
}
