// A simulated world: one line of virtual time on which completions of I/O, timers and deferred tasks happen one by one.
//
// A step runs exactly one of them and then lets everything that follows from it run, until no promise callback is left.
// Which is next depends on virtual time alone, and the times are drawn from the seed: the same seed gives the same run,
// step by step, in every process. Virtual time moves only from one event to the next; nobody ever waits for real.
//
// Code under test must get its time and its I/O from here. A real timer or a real file call in it would end outside the
// order and make runs differ.
import { assert } from '../base/assert.ts';
import type { Clock, Timer } from '../platform/clock.ts';
import { EventQueue, type SimEvent } from './event-queue.ts';
import { SeededRandom } from './seeded-random.ts';

export type SimWorldOptions = {
  readonly seed: number | string;
  /** The wall clock at the start, in ms since 1970. Default: a moment in 2025. */
  readonly startMs?: number;
  /** Timers fire up to this many ms late, drawn for each. Default 0. */
  readonly timerLatenessMsMax?: number;
};

export type RunOptions = {
  /** More steps than this are an error: something turns in circles. Default 10 million. */
  readonly stepsMax?: number;
};

/** Nothing is left to happen and what was waited for has not happened, or it took too many steps. */
export class SimulationStuck extends Error {
  override readonly name = 'SimulationStuck';
}

/** Drawn in every case, so that the tasks of one tick and I/O completions mix as they do in a real event loop. */
const deferMsMax = 0.02;
/** How many of the latest events a stuck run lists. */
const recentMax = 16;
const stepsMaxDefault = 10_000_000;

export class SimWorld {
  /** For the world's own draws. Tests take their own from `random.fork('name')`. */
  readonly random: SeededRandom;
  /** The clock of whoever is not killed with a process. */
  readonly clock: SimClock;
  readonly #draws: SeededRandom;
  readonly #queue = new EventQueue();
  readonly #startMs: number;
  readonly #timerLatenessMsMax: number;
  readonly #frozen = new Map<string, number>();
  readonly #recent: SimEvent[] = [];
  #timeMs = 0;
  #wallSkewMs = 0;
  #sequence = 0;
  #lastDeferMs = 0;
  #stepCount = 0;
  #violation: { readonly cause: unknown } | undefined;

  constructor(options: SimWorldOptions) {
    this.random = new SeededRandom(options.seed);
    this.#draws = this.random.fork('world');
    this.#startMs = options.startMs ?? 1_750_000_000_000;
    this.#timerLatenessMsMax = options.timerLatenessMsMax ?? 0;
    this.clock = new SimClock(this);
  }

  get seed(): number | string {
    return this.random.seed;
  }

  /** Virtual milliseconds since the world began, with fractions. */
  get timeMs(): number {
    return this.#timeMs;
  }

  /** What a wall clock shows. */
  get wallMs(): number {
    return Math.floor(this.#startMs + this.#timeMs + this.#wallSkewMs);
  }

  get stepCount(): number {
    return this.#stepCount;
  }

  /** Moves the wall clock, forward or back, as an administrator or a time server does. */
  jumpWallClock(byMs: number): void {
    this.#wallSkewMs += byMs;
  }

  /** Puts something on the line of time. Setting `live` of the result to false takes it off again. */
  schedule(delayMs: number, what: string, where: string, run: () => void): SimEvent {
    return this.#push(this.#timeMs + Math.max(0, delayMs), what, where, run);
  }

  scheduleTimer(delayMs: number, run: () => void): SimEvent {
    const lateMs = this.#timerLatenessMsMax === 0 ? 0 : this.#draws.fraction() * this.#timerLatenessMsMax;
    return this.schedule(delayMs + lateMs, 'timer', '', run);
  }

  /** Deferred tasks happen soon and in the order of the calls. */
  scheduleDeferred(run: () => void): SimEvent {
    const soonMs = this.#timeMs + this.#draws.fraction() * deferMsMax;
    this.#lastDeferMs = Math.max(this.#lastDeferMs, soonMs);
    return this.#push(this.#lastDeferMs, 'deferred task', '', run);
  }

  /** Remembers a call that will never settle, for the message of a run that got stuck. */
  noteFrozen(what: string): void {
    this.#frozen.set(what, (this.#frozen.get(what) ?? 0) + 1);
  }

  /** Stops the run at its next step: the code under test broke a rule that no return value can report. */
  fail(cause: unknown): void {
    this.#violation ??= { cause };
  }

  /** Runs the next event and all that follows from it at once. False if nothing is left to happen. */
  async step(): Promise<boolean> {
    await this.settle();
    if (!this.#runNext()) return false;
    await this.settle();
    return true;
  }

  /** Lets promise callbacks run until none is left, without any event and without moving time. */
  async settle(): Promise<void> {
    await new Promise<void>((resolve) => {
      // One turn of the real event loop: every promise callback that can run has run before it.
      setImmediate(resolve);
    });
    this.#throwViolation();
  }

  /**
   * Steps until the promise settles, and returns or throws what it settles with, or until the predicate is true. Throws
   * {@link SimulationStuck} when nothing is left to happen before that.
   */
  async run<T>(until: Promise<T>, options?: RunOptions): Promise<T>;
  async run(until: () => boolean, options?: RunOptions): Promise<void>;
  async run<T>(until: Promise<T> | (() => boolean), options: RunOptions = {}): Promise<T | undefined> {
    if (typeof until === 'function') {
      await this.#stepUntil(until, options);
      return undefined;
    }
    let settled = false;
    const note = (): void => {
      settled = true;
    };
    until.then(note, note);
    await this.#stepUntil(() => settled, options);
    return await until;
  }

  /** Runs everything that is due within the next `byMs` of virtual time, which then has passed. */
  async advance(byMs: number, options: RunOptions = {}): Promise<void> {
    const endMs = this.#timeMs + byMs;
    await this.#stepUntil(() => (this.#queue.peek()?.atMs ?? Number.POSITIVE_INFINITY) > endMs, options);
    this.#timeMs = endMs;
  }

  /** Steps until nothing is left to happen. With a timer that sets itself anew this ends in an error. */
  async drain(options: RunOptions = {}): Promise<void> {
    await this.#stepUntil(() => this.#queue.peek() === undefined, options);
  }

  /** What is still to happen, in order, for messages and tests. */
  pending(): string[] {
    return this.#queue.pending().map(describe);
  }

  #push(atMs: number, what: string, where: string, run: () => void): SimEvent {
    const event: SimEvent = { atMs, sequence: this.#sequence++, what, where, live: true, run };
    this.#queue.push(event);
    return event;
  }

  async #stepUntil(done: () => boolean, options: RunOptions): Promise<void> {
    const stepsMax = options.stepsMax ?? stepsMaxDefault;
    await this.settle();
    for (let steps = 0; !done(); steps++) {
      if (steps >= stepsMax) throw new SimulationStuck(this.#stuckMessage(`after ${stepsMax} steps it has not ended`));
      if (!this.#runNext()) throw new SimulationStuck(this.#stuckMessage('nothing is left that could end it'));
      await this.settle();
    }
  }

  #runNext(): boolean {
    const event = this.#queue.take();
    if (event === undefined) return false;
    assert(event.atMs >= this.#timeMs, 'virtual time never goes back', { eventMs: event.atMs, nowMs: this.#timeMs });
    event.live = false;
    this.#timeMs = event.atMs;
    this.#stepCount += 1;
    this.#recent[this.#stepCount % recentMax] = event;
    event.run();
    this.#throwViolation();
    return true;
  }

  #throwViolation(): void {
    if (this.#violation !== undefined) throw this.#violation.cause;
  }

  #stuckMessage(reason: string): string {
    const recent: string[] = [];
    for (let at = this.#stepCount; at > Math.max(0, this.#stepCount - recentMax); at--) {
      const event = this.#recent[at % recentMax];
      if (event !== undefined) recent.push(describe(event));
    }
    const frozen = [...this.#frozen].map(([what, count]) => `${what} (${count})`);
    return (
      `The simulation with seed ${this.seed} waits for something and ${reason}: step ${this.#stepCount}, ` +
      `virtual time ${this.#timeMs.toFixed(3)} ms. Still to happen: ${listOf(this.pending())}. ` +
      `Never to settle, because their process is dead: ${listOf(frozen)}. ` +
      `Latest events, newest first: ${listOf(recent)}.`
    );
  }
}

/** A clock in virtual time. A clock can be stopped, as the death of its process does: nothing it owes happens then. */
export class SimClock implements Clock {
  readonly #world: SimWorld;
  readonly #owed = new Set<SimEvent>();
  #stopped = false;

  constructor(world: SimWorld) {
    this.#world = world;
  }

  now(): number {
    return this.#world.wallMs;
  }

  monotonic(): number {
    return this.#world.timeMs;
  }

  setTimer(delayMs: number, task: () => void): Timer {
    const event = this.#world.scheduleTimer(delayMs, () => this.#run(event, task));
    this.#owe(event);
    return {
      cancel: () => {
        event.live = false;
        this.#owed.delete(event);
      },
    };
  }

  defer(task: () => void): void {
    const event = this.#world.scheduleDeferred(() => this.#run(event, task));
    this.#owe(event);
  }

  /** Takes back everything this clock owes and ignores what it is asked for from now on. */
  stop(): void {
    this.#stopped = true;
    for (const event of this.#owed) event.live = false;
    this.#owed.clear();
  }

  /** Timers and deferred tasks that have not run. A closed buffer must leave none. */
  get owedCount(): number {
    return this.#owed.size;
  }

  #owe(event: SimEvent): void {
    if (this.#stopped) event.live = false;
    else this.#owed.add(event);
  }

  #run(event: SimEvent, task: () => void): void {
    this.#owed.delete(event);
    task();
  }
}

function describe(event: SimEvent): string {
  const where = event.where === '' ? '' : ` ${event.where}`;
  return `${event.what}${where} at ${event.atMs.toFixed(3)} ms`;
}

function listOf(items: readonly string[]): string {
  if (items.length === 0) return 'nothing';
  const shown = items.slice(0, 12).join(', ');
  return items.length <= 12 ? shown : `${shown} and ${items.length - 12} more`;
}
