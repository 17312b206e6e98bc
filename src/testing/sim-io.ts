// The calls that processes make on a simulated disk, from submission to completion.
//
// Each call gets a number and a latency drawn from the seed; completions therefore come in any order. A call takes
// effect either when it is submitted or when it completes, by draw: whoever assumes one of them is wrong half of the
// time. Here is also where calls fail by number, where the machine stops after so many effects, and where the dead are
// silent.
import { StorageError } from '../base/errors.ts';
import { type StorageOperation, storageError, toStorageError } from '../platform/storage-errors.ts';
import type { SimEvent } from './event-queue.ts';
import type { SeededRandom } from './seeded-random.ts';
import { errnoOfFault, type Fault, type IoCall, type SimFaults } from './sim-faults.ts';
import { errnoError } from './sim-names.ts';
import type { SimProcess } from './sim-process.ts';
import type { SimWorld } from './sim-world.ts';

/** What a call does to the disk. */
export type IoPlan<T> = {
  readonly operation: StorageOperation;
  readonly path: string;
  readonly offset?: number;
  readonly byteLength?: number;
  /** Takes effect, at once and as a whole. Throws StorageError. */
  effect(): T;
  /** What is left on the disk by a call that failed with this error of the operating system. Default: nothing. */
  failed?(errno: string): void;
  /** What is left by a call whose process was killed half-way. Default: nothing. */
  interrupted?(): void;
  /** The call has returned successfully. */
  returned?(value: T): void;
};

/** Bounds in ms between which latencies are drawn, by kind of call. */
export type Latencies = {
  readonly data: readonly [number, number];
  readonly sync: readonly [number, number];
  readonly names: readonly [number, number];
};

export const usualLatencies: Latencies = { data: [0.01, 0.3], sync: [0.05, 2], names: [0.01, 0.3] };

type Outcome<T> =
  | { readonly kind: 'done'; readonly value: T }
  | { readonly kind: 'failed'; readonly error: StorageError };

type InFlight = { readonly event: SimEvent; readonly fate: () => void; readonly die: () => void };

type FailingCall = { readonly number: number; readonly errno: string; readonly lasting: boolean };

/** Calls after which a disk is another disk. Crashes are counted in these; the others leave nothing to tell apart. */
const changing: ReadonlySet<StorageOperation> = new Set<StorageOperation>([
  'create',
  'write',
  'sync',
  'truncate',
  'make directory',
  'rename',
  'remove',
  'sync directory',
]);

export class SimIo {
  latencies: Latencies = usualLatencies;
  /** How many of the latest calls `calls` remembers. */
  callsKept = 1000;
  readonly #world: SimWorld;
  readonly #faults: SimFaults;
  readonly #draws: SeededRandom;
  readonly #inFlight = new Map<SimProcess, Set<InFlight>>();
  #calls: IoCall[] = [];
  #callCount = 0;
  #effectCount = 0;
  #failing: FailingCall | undefined;
  #crash: { readonly afterEffect: number; readonly happen: () => void } | undefined;

  constructor(world: SimWorld, faults: SimFaults, draws: SeededRandom) {
    this.#world = world;
    this.#faults = faults;
    this.#draws = draws;
  }

  get callCount(): number {
    return this.#callCount;
  }

  get effectCount(): number {
    return this.#effectCount;
  }

  get calls(): readonly IoCall[] {
    return this.#calls.slice(-this.callsKept);
  }

  failCall(number: number, fault: Fault, howLong: 'once' | 'from_then_on'): void {
    this.#failing = { number, errno: errnoOfFault(fault), lasting: howLong === 'from_then_on' };
  }

  failNoCall(): void {
    this.#failing = undefined;
  }

  crashAfterEffect(afterEffect: number, happen: () => void): void {
    this.#crash = { afterEffect, happen };
  }

  submit<T>(process: SimProcess, plan: IoPlan<T>): Promise<T> {
    if (!process.isAlive) return this.#answerOfTheDead(process, plan);
    const call = this.#record(process, plan);
    const errno = this.#errnoFor(call);
    let outcome = this.#draws.chance(0.5) ? this.#perform(call, plan, errno) : undefined;
    // What took effect is the kernel's business from then on, also when nobody is left to be told: a later sync of
    // somebody else's takes it along.
    const outlive = (): void => {
      if (outcome?.kind === 'done') plan.returned?.(outcome.value);
    };
    if (!process.isAlive) {
      outlive();
      return this.#answerOfTheDead(process, plan);
    }
    return new Promise<T>((resolve, reject) => {
      const complete = (): void => {
        this.#inFlight.get(process)?.delete(inFlight);
        outcome ??= this.#perform(call, plan, errno);
        if (!process.isAlive) {
          inFlight.die(); // The machine stopped at this very effect.
        } else if (outcome.kind === 'done') {
          call.outcome = 'done';
          plan.returned?.(outcome.value);
          resolve(outcome.value);
        } else {
          reject(outcome.error);
        }
      };
      const inFlight: InFlight = {
        event: this.#world.schedule(this.#latencyMs(plan.operation), plan.operation, plan.path, complete),
        fate: () => {
          if (outcome === undefined) this.#drawFate(plan);
        },
        die: () => {
          call.outcome = 'never';
          outlive();
          this.#answerOfTheDead(process, plan).then(resolve, reject);
        },
      };
      this.#flightsOf(process).add(inFlight);
    });
  }

  /** The process is no more. Its calls in flight take effect, or a part of it, or none, by draw; or none at all. */
  abandon(process: SimProcess, inFlight: 'drawn' | 'none'): void {
    const flights = this.#inFlight.get(process);
    this.#inFlight.delete(process);
    for (const { event, fate, die } of flights ?? []) {
      event.live = false;
      if (inFlight === 'drawn') fate();
      die();
    }
  }

  #record<T>(process: SimProcess, plan: IoPlan<T>): IoCall {
    this.#callCount += 1;
    const call: IoCall = {
      number: this.#callCount,
      operation: plan.operation,
      path: plan.path,
      offset: plan.offset ?? 0,
      byteLength: plan.byteLength ?? 0,
      process: process.name,
      outcome: undefined,
    };
    this.#calls.push(call);
    if (this.#calls.length > 2 * this.callsKept) this.#calls = this.#calls.slice(-this.callsKept);
    return call;
  }

  #errnoFor(call: IoCall): string | undefined {
    const drawn = this.#faults.errnoFor(call);
    const failing = this.#failing;
    if (failing === undefined) return drawn;
    const isIt = failing.lasting ? call.number >= failing.number : call.number === failing.number;
    return isIt ? failing.errno : drawn;
  }

  #perform<T>(call: IoCall, plan: IoPlan<T>, errno: string | undefined): Outcome<T> {
    try {
      if (errno !== undefined) {
        plan.failed?.(errno);
        throw toStorageError(errnoError(errno), plan.operation, plan.path);
      }
      const value = plan.effect();
      this.#countEffect(plan.operation);
      return { kind: 'done', value };
    } catch (error) {
      if (!(error instanceof StorageError)) throw error; // A bug of the simulator's, for the run to show.
      call.outcome = `failed: ${error.kind}`;
      return { kind: 'failed', error };
    }
  }

  #countEffect(operation: StorageOperation): void {
    if (!changing.has(operation)) return;
    this.#effectCount += 1;
    const crash = this.#crash;
    if (crash === undefined || this.#effectCount < crash.afterEffect) return;
    this.#crash = undefined;
    crash.happen();
  }

  #drawFate<T>(plan: IoPlan<T>): void {
    const fate = this.#draws.pick(['whole', 'part', 'nothing'] as const);
    try {
      if (fate === 'whole') plan.returned?.(plan.effect());
      if (fate === 'part') plan.interrupted?.();
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
    }
  }

  #answerOfTheDead<T>(process: SimProcess, plan: IoPlan<T>): Promise<T> {
    this.#world.noteFrozen(`${plan.operation} ${plan.path}`);
    if (process.afterDeath === 'reject') {
      return Promise.reject(
        storageError('io', plan.operation, plan.path, `the simulated process ${process.name} is dead`),
      );
    }
    return new Promise<T>(() => undefined);
  }

  #flightsOf(process: SimProcess): Set<InFlight> {
    const known = this.#inFlight.get(process);
    if (known !== undefined) return known;
    const flights = new Set<InFlight>();
    this.#inFlight.set(process, flights);
    return flights;
  }

  #latencyMs(operation: StorageOperation): number {
    const { data, sync, names } = this.latencies;
    const isData = operation === 'read' || operation === 'write' || operation === 'measure';
    const isSync = operation === 'sync' || operation === 'sync directory';
    const [least, most] = isData ? data : isSync ? sync : names;
    const latencyMs = least + this.#draws.fraction() * (most - least);
    return this.#faults.isSlow() ? latencyMs * 100 : latencyMs;
  }
}
