// Whole pipelines, life after life, on a disk that fails and under a process that is killed: whatever was accepted
// arrives at every sink, in order where that is promised, nothing is invented, and every end comes in time.
//
// A case is a plan drawn from its seed: buffers, sinks and their moods, and how each life ends. The last life has a
// healthy disk and healthy sinks, and drains. Sources number their batches; a batch that is not accepted is forgotten,
// and may arrive all the same.

import { describe, it } from 'vitest';
import { textOf } from '../../../test/buffer-rig.ts';
import { eventsIn, numbers } from '../../../test/delivery-rig.ts';
import { Basin, diskStage, type Given, memoryStage, PipelineRig, sinkOf, Tap } from '../../../test/pipeline-rig.ts';
import { byScale, onlyCase, repeatable, seedOr } from '../../../test/sweep.ts';
import type { SeededRandom } from '../../testing/seeded-random.ts';
import type { BufferStageSettings, PipelineSettings } from '../contract/settings.ts';
import type { SinkAnswer } from '../contract/sink.ts';
import type { Pipeline } from './pipeline.ts';

const shutdownTimeoutMs = 5_000;
/** The shutdown timeout, a sink's last second, and what a buffer takes to close: deliveries, then a full disk. */
const stopMsMax = shutdownTimeoutMs + 1_000 + 2 * 5_000 + 1_000;
const livesMax = 5;
const name = 'keep what they promise (seed %i)';
const seed = seedOr(7_000);
const only = onlyCase();
const cases = only === undefined ? numbers(0, byScale({ sample: 24, full: 600 }) - 1) : [only];

const lettersPath = '/data/letters.jsonl';
/** What no sink takes, and the dead letters get. */
const isPoison = (event: number): boolean => event % 23 === 0;

type Mood = 'well' | 'flaky' | 'slow' | 'away' | 'crashing' | 'hanging';
type Kind = 'disk' | 'memory' | 'chain';
type End = 'kill' | 'power' | 'stop' | 'abort' | 'stop twice';

interface Outlet {
  readonly id: string;
  readonly buffer: string;
  readonly concurrency: number;
  basin: Basin;
  mood: Mood;
  /** Numbers that it took in this life. */
  ofLife: Set<number>;
  /** Whether an answer of this life may have been lost: then what it took may come again. */
  hasDoubt: boolean;
  /** Numbers of what was halved: when the rest of a record has no answer, all of it comes again. */
  readonly divided: Set<number>;
  /** Numbers that no later life may bring again. */
  readonly certain: Set<number>;
  /** Numbers that were answered `delivered`, in all lives. */
  readonly taken: number[];
}

class Trial {
  readonly #rig: PipelineRig;
  readonly #random: SeededRandom;
  readonly #tap = new Tap();
  readonly #kind: Kind;
  readonly #durability: 'sync' | 'interval' | 'os';
  readonly #outlets: Outlet[];
  /** First number and count of every batch that was answered `accepted`, while what holds it is not known to forget. */
  #accepted: { readonly first: number; readonly events: number }[] = [];
  #next = 1;
  #diskIsWell = true;
  #emitting: Promise<void> = Promise.resolve();

  constructor(seed: number) {
    this.#rig = new PipelineRig({ seed });
    this.#random = this.#rig.world.random.fork('trial');
    this.#kind = this.#random.pick(['disk', 'disk', 'memory', 'chain']);
    this.#durability = this.#random.pick(['sync', 'sync', 'interval', 'os']);
    const isShared = this.#random.chance(0.5);
    this.#outlets = numbers(1, this.#random.between(1, 3)).map((number) => ({
      id: `sink-${number}`,
      buffer: isShared ? 'shared' : `sink-${number}`,
      concurrency: this.#random.pick([1, 1, 3]),
      basin: new Basin(),
      mood: 'well',
      ofLife: new Set(),
      hasDoubt: false,
      certain: new Set(),
      divided: new Set(),
      taken: [],
    }));
  }

  async run(): Promise<void> {
    const lives = this.#random.between(2, livesMax);
    for (let life = 1; life < lives; life++) await this.#live();
    await this.#lastLife();
  }

  async #live(): Promise<void> {
    const rig = this.#rig;
    for (const outlet of this.#outlets) this.#renew(outlet, this.#drawMood());
    const pipeline = await rig.start(this.#settings());
    const pending: Promise<unknown>[] = [];
    this.#emitting = Promise.resolve();
    for (let step = this.#random.between(1, 6); step > 0; step--) {
      if (this.#random.chance(0.2)) this.#troubleDisk();
      if (this.#random.chance(0.3)) this.#healDisk();
      for (const outlet of this.#outlets) if (this.#random.chance(0.3)) this.#become(outlet, this.#drawMood());
      pending.push(this.#emitMore());
      await rig.advance(this.#random.between(0, 3_000));
    }
    const end: End = this.#random.pick(['kill', 'power', 'stop', 'abort', 'stop twice']);
    await this.#end(pipeline, end, pending);
    this.#healDisk();
    this.#checkOrder();
    // What was in memory may be gone, and what was not on stable storage when the power failed.
    if (this.#kind !== 'disk' || (end === 'power' && this.#durability !== 'sync')) this.#accepted = [];
  }

  async #end(pipeline: Pipeline, end: End, pending: readonly Promise<unknown>[]): Promise<void> {
    const rig = this.#rig;
    if (end === 'kill') return rig.kill();
    if (end === 'power') return rig.crash();
    const isWell = this.#outlets.every(({ mood }) => mood === 'well') && this.#diskIsWell;
    const stopping = end === 'abort' ? pipeline.abort() : pipeline.stop();
    if (end === 'stop twice') {
      await rig.advance(this.#random.between(0, 2_000));
      void pipeline.abort();
    }
    const took = await rig.took(stopMsMax, stopping);
    if (took === undefined) throw new Error(`${end} has not ended within ${stopMsMax} ms`);
    await rig.run(Promise.all(pending));
    await rig.run(pipeline.ended.catch(() => 'failed'));
    await rig.advance(stopMsMax); // What was left to itself, a hung sink's last call, may take that long.
    if (rig.timers > 0)
      throw new Error(`${rig.timers} timers are left after ${end}: ${rig.world.pending().join('; ')}`);
    if (rig.disk.openFileCount(rig.process) > 0) throw new Error(`files are left open after ${end}`);
    if (end === 'stop' && isWell && took < shutdownTimeoutMs) this.#keepsAll();
    rig.kill();
  }

  async #lastLife(): Promise<void> {
    for (const outlet of this.#outlets) this.#renew(outlet, 'well');
    const tap = this.#tap;
    tap.live = async () => {
      await this.#emitSome();
    };
    const pipeline = await this.#rig.start(this.#settings());
    const end = await this.#rig.run(pipeline.ended);
    if (end !== 'drained') throw new Error(`the last life ended as ${end}`);
    this.#checkOrder();
    this.#checkAllArrived();
    if (this.#rig.timers > 0) throw new Error(`${this.#rig.timers} timers are left at the end`);
  }

  // The parts of a plan.

  #settings(): PipelineSettings {
    const sinks = this.#outlets.map(({ id, buffer, basin, concurrency }) => {
      const request = { concurrency, timeoutMs: 2_000, retryMaxBackoffMs: 2_000 };
      // All sinks share one file.
      const deadLetters = { path: lettersPath, maxBytes: 10_000_000 };
      return sinkOf(id, basin, { buffer, delivery: { request, deadLetters, batch: { maxEvents: 40 } } });
    });
    const buffers = [...new Set(sinks.map(({ buffer }) => buffer))].map((id) => ({ id, stages: this.#stages() }));
    return this.#rig.settings(this.#tap, sinks, { buffers, shutdownTimeoutMs });
  }

  #stages(): BufferStageSettings[] {
    const memory = memoryStage({ max_events: 60 });
    if (this.#kind === 'memory') return [memory];
    const disk = diskStage({ durability: this.#durability });
    return this.#kind === 'chain' ? [memory, disk] : [disk];
  }

  #drawMood(): Mood {
    return this.#random.pick(['well', 'well', 'flaky', 'slow', 'away', 'crashing', 'hanging']);
  }

  #troubleDisk(): void {
    const { faults } = this.#rig.disk;
    this.#diskIsWell = false;
    const path = /buffers.*seg$/;
    const draw = this.#random.fraction();
    if (draw < 0.4) faults.inject({ fault: 'ENOSPC', operation: ['write', 'create'], path });
    else if (draw < 0.5) faults.inject({ fault: 'EIO', operation: ['write', 'sync'], path, times: 1 });
    else faults.chances = { slow: 0.3, shortRead: 0.1, shortWrite: 0.1 };
  }

  #healDisk(): void {
    this.#rig.disk.faults.clear();
    this.#diskIsWell = true;
  }

  /** One batch after the other: only those have an order. */
  #emitMore(): Promise<void> {
    this.#emitting = this.#emitting.then(() => this.#emitSome());
    return this.#emitting;
  }

  async #emitSome(): Promise<void> {
    for (let batch = this.#random.between(1, 12); batch > 0; batch--) {
      const [first, events] = [this.#next, this.#random.between(1, 12)];
      this.#next += events;
      const text = 'x'.repeat(this.#random.pick([0, 0, 300, 2_000]));
      const answer = await this.#tap.emit(first, events, this.#random.chance(0.5) ? { maxWaitMs: 3_000 } : {}, text);
      if (answer.kind === 'accepted') this.#accepted.push({ first, events });
    }
  }

  #renew(outlet: Outlet, mood: Mood): void {
    const basin = new Basin();
    basin.answer = (given) => this.#answer(outlet, given);
    basin.create = () => {
      if (outlet.mood === 'crashing' && this.#random.chance(0.3)) throw new Error('cannot be made');
    };
    outlet.basin = basin;
    outlet.ofLife = new Set();
    outlet.hasDoubt = false;
    this.#become(outlet, mood);
  }

  #become(outlet: Outlet, mood: Mood): void {
    outlet.mood = mood;
    // The parts of what was halved come again with the record; what hangs may answer when nobody waits any more.
    if (mood === 'flaky' || mood === 'crashing' || mood === 'hanging') outlet.hasDoubt = true;
  }

  async #answer(outlet: Outlet, { events, signal }: Given): Promise<SinkAnswer> {
    const { process } = this.#rig;
    await this.#rig.after(this.#random.between(0, outlet.mood === 'slow' ? 1_500 : 20));
    if (!process.isAlive) return await new Promise(() => undefined);
    const answer = this.#answerTo(events, outlet.mood);
    if (answer === 'hang') {
      // Half of them give up when they are told to.
      if (this.#random.chance(0.5)) return await new Promise(() => undefined);
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
      return { kind: 'retryable', reason: 'aborted' };
    }
    if (answer.kind === 'delivered') this.#takes(outlet, events);
    else if (answer.kind === 'rejected' || answer.kind === 'too_large')
      for (const each of events) outlet.divided.add(each);
    return answer;
  }

  /** What nobody takes is refused in every mood in which anything is, and too large for nobody when it is alone. */
  #answerTo(events: readonly number[], mood: Mood): SinkAnswer | 'hang' {
    const answer = this.#answerIn(mood);
    if (answer === 'hang') return answer;
    if (answer.kind === 'delivered' && events.some(isPoison)) return { kind: 'rejected', reason: 'it is poison' };
    return answer.kind === 'too_large' && events.length === 1 ? { kind: 'retryable', reason: 'again' } : answer;
  }

  #answerIn(mood: Mood): SinkAnswer | 'hang' {
    const random = this.#random;
    switch (mood) {
      case 'well':
      case 'slow':
        return { kind: 'delivered' };
      case 'flaky':
        if (random.chance(0.5)) return { kind: 'delivered' };
        return random.pick<SinkAnswer>([
          { kind: 'retryable', reason: '503' },
          { kind: 'retryable', reason: '429', afterMs: 700 },
          { kind: 'too_large', reason: '413' },
          { kind: 'blocked', reason: '401' },
        ]);
      case 'away':
        return { kind: 'retryable', reason: 'away' };
      case 'crashing':
        if (random.chance(0.5)) return { kind: 'delivered' };
        throw new Error('a bug of the sink');
      case 'hanging':
        return random.chance(0.6) ? { kind: 'delivered' } : 'hang';
    }
  }

  // What is promised.

  /** Repeats are of what was in doubt, and nothing else. */
  #takes(outlet: Outlet, events: readonly number[]): void {
    for (const event of events) {
      if (outlet.certain.has(event))
        this.#rig.world.fail(this.#broken(outlet, `${event} came after a life that kept it`));
      if (!outlet.hasDoubt && outlet.ofLife.has(event))
        this.#rig.world.fail(this.#broken(outlet, `${event} came twice`));
      outlet.ofLife.add(event);
      outlet.taken.push(event);
    }
  }

  #checkOrder(): void {
    for (const outlet of this.#outlets) {
      const { taken } = outlet;
      const strange = taken.find((event) => event < 1 || event >= this.#next);
      if (strange !== undefined) throw this.#broken(outlet, `${strange} was never sent`);
      if (outlet.concurrency > 1) continue;
      // Each number for the first time in order: repeats go back, and forward again over the same ones.
      let highest = 0;
      const seen = new Set<number>();
      for (const event of taken) {
        if (!seen.has(event) && event < highest) throw this.#broken(outlet, `${event} came after ${highest}`);
        seen.add(event);
        highest = Math.max(highest, event);
      }
    }
  }

  #buriedBy({ id }: Outlet): number[] {
    const { disk } = this.#rig;
    if (!disk.paths().includes(lettersPath)) return [];
    const lines = textOf(disk.bytesOf(lettersPath)).split('\n');
    // A line that a crash has cut is alone on its line, and its event comes again.
    const whole = lines.filter((line) => line.endsWith('}') && (JSON.parse(line) as { sink: string }).sink === id);
    return whole.flatMap((line) => eventsIn(new TextEncoder().encode(line)));
  }

  /** A graceful stop beside sinks and a disk that are well: nothing is repeated after it, nothing in memory is lost. */
  #keepsAll(): void {
    if (this.#kind !== 'disk') this.#checkAllArrived();
    for (const { certain, divided, taken } of this.#outlets) {
      for (const event of taken) if (!divided.has(event)) certain.add(event);
    }
  }

  #checkAllArrived(): void {
    for (const outlet of this.#outlets) {
      const taken = new Set([...outlet.taken, ...this.#buriedBy(outlet)]);
      if (outlet.taken.some(isPoison)) throw this.#broken(outlet, 'it took what it had refused');
      for (const { first, events } of this.#accepted) {
        const missing = numbers(first, first + events - 1).find((event) => !taken.has(event));
        if (missing !== undefined) throw this.#broken(outlet, `${missing} was accepted and has not arrived`);
      }
    }
  }

  #broken({ id, concurrency, buffer }: Outlet, what: string): Error {
    return new Error(`Sink ${id} (concurrency ${concurrency}, ${this.#kind} buffer ${buffer}): ${what}`);
  }
}

describe('pipelines through several lives', () => {
  it.each(cases)(name, async (number) => {
    const what = { file: import.meta.filename, name: name.replace('%i', String(number)), seed, case: number };
    await repeatable(what, () => new Trial(seed + number).run());
  });
});
