// A long life in simulation: actions are drawn one after another, virtual time moves between them, troubles come and
// go, and after every action everything is compared with the model. In the end all troubles end, everything is read
// and settled, and nobody may still wait for an answer.
import { check } from '../buffer-model-parts.ts';
import { SeededRandom } from '../seeded-random.ts';
import * as actions from './actions.ts';
import { BufferWorld } from './buffer-world.ts';
import type { Life } from './life.ts';
import { type ActionName, actionNames, drawSwarm, type Swarm } from './swarm.ts';
import * as troubles from './troubles.ts';

export type SimulationOptions = {
  readonly seed: number;
  /** How many actions. */
  readonly steps: number;
};

/** Every fourth seed has a disk without faults and damage: there, nothing but kills and power cuts excuses a loss. */
export function isCalm(seed: number): boolean {
  return seed % 4 === 0;
}

export type SimulationReport = {
  readonly steps: number;
  readonly lives: number;
  readonly calls: number;
  readonly records: number;
  readonly virtualMs: number;
  /** Of everything the run did to its disk, in order: two runs of one seed have the same. */
  readonly hash: number;
};

/** What a failed run says: the step, and the actions before it. */
export class SimulationFailed extends Error {
  override readonly name = 'SimulationFailed';
}

const drainStepsMax = 300_000;

/** Runs one seed. Throws {@link SimulationFailed} as soon as something contradicts the model. */
export async function simulate({ seed, steps }: SimulationOptions): Promise<SimulationReport> {
  const swarm = drawSwarm(new SeededRandom(`${seed}/swarm`), !isCalm(seed));
  const run = new Run(new BufferWorld(seed, swarm), swarm);
  try {
    return await run.run(steps);
  } catch (cause) {
    const message = cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause);
    throw new SimulationFailed(`${message}\nseed ${seed}, step ${run.step}, after: ${run.latest.join(', ')}`, {
      cause,
    });
  }
}

class Run {
  step = 0;
  /** The latest actions, for the message of a failure. */
  readonly latest: string[] = [];
  readonly #world: BufferWorld;
  readonly #total: number;
  readonly #weights: readonly { readonly name: ActionName; readonly below: number }[];
  #hash = 0x811c9dc5;
  #hashedCall = 0;
  #faultsUntil = 0;

  constructor(world: BufferWorld, swarm: Swarm) {
    this.#world = world;
    let below = 0;
    this.#weights = actionNames.map((name) => {
      below += swarm.weights[name];
      return { name, below };
    });
    this.#total = below;
  }

  async run(steps: number): Promise<SimulationReport> {
    const { world, disk } = this.#world;
    for (this.step = 1; this.step <= steps; this.step++) {
      await this.#act();
      await this.#moveOn();
      this.#world.inspect();
      this.#hashCalls();
    }
    await this.#end();
    this.#hashCalls();
    const { lifeCount, lastSerial } = this.#world;
    return {
      steps,
      lives: lifeCount,
      calls: disk.callCount,
      records: lastSerial,
      virtualMs: world.timeMs,
      hash: this.#hash >>> 0,
    };
  }

  async #act(): Promise<void> {
    const buffer = this.#world;
    if (this.step >= this.#faultsUntil) {
      troubles.changeFaults(buffer);
      this.#faultsUntil = this.step + buffer.random.between(50, 1_000);
    }
    const { life, opening } = buffer;
    if (life?.isOver === true) {
      this.#note('leave');
      buffer.leave(life);
      return;
    }
    const name = this.#draw();
    if (life === undefined && opening === undefined && !aside.has(name)) {
      if (buffer.random.chance(0.25)) this.#damageAtRest();
      this.#note('open');
      buffer.open();
      return;
    }
    this.#note(name);
    if (life === undefined) return await this.#aside(name);
    await this.#perform(name, life);
  }

  #draw(): ActionName {
    const drawn = this.#world.random.fraction() * this.#total;
    return (this.#weights.find(({ below }) => drawn < below) ?? { name: 'advance' as const }).name;
  }

  #note(what: string): void {
    this.latest.push(what);
    if (this.latest.length > 20) this.latest.shift();
  }

  async #perform(name: ActionName, life: Life): Promise<void> {
    const buffer = this.#world;
    switch (name) {
      case 'try_append':
        return actions.tryAppend(buffer, life);
      case 'append':
        return actions.append(buffer, life);
      case 'append_batch':
        return actions.appendBatch(buffer, life);
      case 'append_large':
        return actions.appendLarge(buffer, life);
      case 'ready':
        return actions.ready(buffer, life);
      case 'commit':
        return actions.commit(buffer, life);
      case 'read':
        return actions.read(buffer, life);
      case 'settle':
        return actions.settle(buffer, life);
      case 'settle_partly':
        return actions.settlePartly(buffer, life);
      case 'abort':
        return actions.abort(buffer, life);
      case 'add_cursor':
        return actions.addCursor(buffer, life);
      case 'remove_cursor':
        return actions.removeCursor(buffer, life);
      case 'close':
        return actions.close(buffer, life, false);
      default:
        return await this.#aside(name);
    }
  }

  /** Between two lives there is time for everything that may be damaged in this run. */
  #damageAtRest(): void {
    const buffer = this.#world;
    const { weights } = buffer.swarm;
    const kinds = (['flip_bits', 'bad_sectors', 'damage_header', 'damage_ledger'] as const).filter(
      (kind) => weights[kind] > 0,
    );
    if (kinds.length === 0) return;
    const kind = buffer.random.pick(kinds);
    this.#note(kind);
    if (kind === 'flip_bits') troubles.flipBits(buffer);
    else if (kind === 'bad_sectors') troubles.badSectors(buffer);
    else if (kind === 'damage_header') troubles.damageHeader(buffer);
    else troubles.damageLedger(buffer);
  }

  /** What happens whether or not a buffer is open. */
  async #aside(name: ActionName): Promise<void> {
    const buffer = this.#world;
    switch (name) {
      case 'advance':
        return await buffer.world.advance(buffer.random.pick([0.1, 1, 10, 120, 1_500]));
      case 'kill':
        return buffer.kill();
      case 'power_cut':
        return buffer.powerCut();
      case 'jump_clock':
        return buffer.world.jumpWallClock(buffer.random.between(-1e9, 1e9));
      case 'drop_caches':
        buffer.model.cacheDropped();
        return buffer.disk.dropCaches();
      case 'flip_bits':
        return troubles.flipBits(buffer);
      case 'bad_sectors':
        return troubles.badSectors(buffer);
      case 'damage_header':
        return troubles.damageHeader(buffer);
      case 'damage_ledger':
        return troubles.damageLedger(buffer);
      case 'lift_rot':
        return troubles.liftRot(buffer);
      default:
        await buffer.world.step();
    }
  }

  /** Some of what is under way goes on, or nothing. */
  async #moveOn(): Promise<void> {
    const { random, world } = this.#world;
    const count = random.pick([0, 0, 1, 2, 6]);
    if (count === 0) await world.settle();
    for (let done = 0; done < count; done++) if (!(await world.step())) return;
  }

  /** All troubles end; everything is read and settled; a buffer that drains must close, and owe nobody an answer. */
  async #end(): Promise<void> {
    const buffer = this.#world;
    this.#note('end');
    troubles.heal(buffer);
    for (let tries = 0; ; tries++) {
      check(tries < 20, 'a healed disk lets a buffer open and close');
      if (buffer.life?.isOver === true) buffer.leave(buffer.life);
      if (buffer.life === undefined && buffer.opening === undefined) buffer.open();
      await buffer.world.run(() => buffer.opening === undefined, { stepsMax: drainStepsMax });
      const { life } = buffer;
      if (life === undefined) continue;
      actions.close(buffer, life, true);
      await this.#drain(life);
      const isClean = life.clean;
      buffer.leave(life);
      if (isClean) return;
    }
  }

  async #drain(life: Life): Promise<void> {
    const buffer = this.#world;
    for (let done = 0; !life.isOver; done++) {
      check(
        done < drainStepsMax,
        `a buffer that drains did not close; it owes ${[...life.pending.values()].join(', ')}`,
      );
      actions.read(buffer, life);
      for (const hand of life.hands.splice(0)) actions.acknowledge(buffer, life, hand);
      if (!(await buffer.world.step())) await buffer.world.settle();
      buffer.inspect();
    }
  }

  /** FNV-1a over the calls since last time. */
  #hashCalls(): void {
    const { disk } = this.#world;
    if (disk.callCount - this.#hashedCall < 300 && this.latest.at(-1) !== 'end') return;
    for (const call of disk.calls) {
      if (call.number <= this.#hashedCall) continue;
      this.#hashedCall = call.number;
      const text = `${call.operation} ${call.path} ${call.offset} ${call.byteLength} ${call.outcome}`;
      for (let at = 0; at < text.length; at++) this.#hash = Math.imul(this.#hash ^ text.charCodeAt(at), 0x01000193);
    }
  }
}

/** What happens to a disk while no buffer is open on it. */
const aside: ReadonlySet<ActionName> = new Set<ActionName>([
  'advance',
  'jump_clock',
  'flip_bits',
  'bad_sectors',
  'damage_header',
  'damage_ledger',
  'lift_rot',
]);
