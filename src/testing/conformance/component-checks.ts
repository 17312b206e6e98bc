// What the cases for sources and sinks share: how time passes, what is expected, and how a component is made.
import type { World } from '../../pipeline/contract/world.ts';
import type { Clock, Timer } from '../../platform/clock.ts';
import type { SimWorld } from '../sim-world.ts';

/** A case of a suite; it fails by rejecting. */
export type ConformanceCase = {
  readonly name: string;
  run(): Promise<void>;
};

/** How time passes for a component: in a simulation it is moved, in the real world it is waited for. */
export type ConformanceTime = {
  /** What the promise settles with. Fails when it does not settle in time. */
  run<Value>(promise: Promise<Value>): Promise<Value>;
  /** Until the predicate is true. Fails when that takes too long. */
  until(predicate: () => boolean, what: string): Promise<void>;
  pass(ms: number): Promise<void>;
};

/** Longest real time that a case waits for anything. */
const patienceMs = 30_000;
const pollMs = 5;
/** More steps than any case needs: what turns in circles fails. */
const stepsMax = 8_000;

/** For components without any real input or output. */
export function simulatedTime(sim: SimWorld): ConformanceTime {
  return {
    run(promise) {
      promise.catch(() => undefined); // The world may stop before anybody else looks at it.
      return sim.run(promise, { stepsMax });
    },
    until: (predicate) => sim.run(predicate, { stepsMax }),
    pass: (ms) => sim.advance(ms, { stepsMax }),
  };
}

/** For components with real sockets and files. Waits are short, and end as soon as what they wait for is there. */
export function realTime(clock: Clock): ConformanceTime {
  const pass = (ms: number): Promise<void> => new Promise((resolve) => void clock.setTimer(ms, resolve));
  return {
    pass,
    async run(promise) {
      let timer: Timer | undefined;
      const late = new Promise<never>((_, reject) => {
        timer = clock.setTimer(patienceMs, () => reject(new Error(`nothing came of it within ${patienceMs} ms`)));
      });
      try {
        return await Promise.race([promise, late]);
      } finally {
        timer?.cancel();
      }
    },
    async until(predicate, what) {
      const startedAt = clock.monotonic();
      while (!predicate()) {
        if (clock.monotonic() - startedAt > patienceMs) throw new Error(`${what}: not within ${patienceMs} ms`);
        await pass(pollMs);
      }
    },
  };
}

/** The time that fits a world: simulated if it has a simulation, real otherwise. */
export function timeOf(world: World & { readonly sim?: SimWorld }): ConformanceTime {
  return world.sim === undefined ? realTime(world.clock) : simulatedTime(world.sim);
}

export function check(condition: boolean, what: string): void {
  if (!condition) throw new Error(what);
}

export function expectSame(found: readonly unknown[], expected: readonly unknown[], what: string): void {
  const [one, other] = [JSON.stringify(found), JSON.stringify(expected)];
  if (one !== other) throw new Error(`${what}: expected ${shortened(other)}, found ${shortened(one)}`);
}

/** Each of `expected` is there at least once, and first occurrences come in this order; nothing else is there. */
export function expectAtLeastOnce(found: readonly string[], expected: readonly string[], what: string): void {
  expectSame([...new Set(found)], expected, what);
}

type Checked = { readonly kind: string; readonly api: number; readonly type: string; readonly schema: Schema };
type Schema = {
  safeParse(given: unknown): { success: boolean; data?: unknown; error?: { readonly message: string } };
};

/** Options as the definition's schema gives them. */
export function parsedOptions(definition: Checked, given: unknown): never {
  const parsed = definition.schema.safeParse(given);
  if (!parsed.success) throw new Error(`the options of the harness are refused: ${parsed.error?.message}`);
  return parsed.data as never;
}

/** What every definition has to be. */
export function checkDefinition(definition: Checked, kind: 'source' | 'sink', options: unknown): void {
  check(definition.kind === kind, `kind is ${definition.kind}, expected ${kind}`);
  check(definition.api === 1, `api is ${definition.api}, expected 1`);
  check(/^[a-z0-9][a-z0-9_-]*$/.test(definition.type), `type ${definition.type} cannot be written in a config`);
  parsedOptions(definition, options);
  const misspelt = { ...(options as object), no_such_option_as_this: 1 };
  check(!definition.schema.safeParse(misspelt).success, 'an option that does not exist is not refused');
}

function shortened(text: string): string {
  return text.length <= 400 ? text : `${text.slice(0, 200)} ... ${text.slice(-180)} (${text.length} characters)`;
}
