// The faults that every sink's server goes through, one test each, in a test file's one call: sinkFaultTests(subject).
//
// In each of them a load of numbers runs all the time, the pipeline is killed with SIGKILL while the fault lasts and
// once more when it is over, and what must be true in the end is the same. A failure says what the pipeline and the
// server had logged, and the command that repeats it.
import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { repeatable } from '../../test/sweep.ts';
import { type Fault, faultNames, faultOf, slowLink, wireFaults } from '../faults.ts';
import { outOfMemory } from '../memory-fault.ts';
import { needs } from '../requirements.ts';
import { type FaultResult, recordFault } from './sink-results.ts';
import { SinkRig } from './sink-rig.ts';
import { faultsOf, type SinkFaultName, type SinkSubject, type StartedSubject } from './sink-subject.ts';
import { rangesOf } from './sink-verdict.ts';

/** Numbers that are accepted between one thing that happens and the next: about half a second of load. */
const some = 500;
/** Faults in which nobody says anything last longer than a batch's time-out, before the pipeline is killed. */
const silentFaults: readonly SinkFaultName[] = ['paused', 'blackholed', 'slow'];
const silenceMs = 2_500;
const killsInARow = 4;
/** From the end of a fault until everything that was accepted has arrived. The backoff in between is half a second. */
const recoveryMsMax = 15_000;
/** Node with its code, the buffer and one batch in flight. Without a bound on what waits it would be more. */
const memoryBytesMax = 320 * 1024 * 1024;
/** What Node takes while it warms up to a load, about 60 MiB, and a batch of everything that has waited. */
const growthBytesMax = 128 * 1024 * 1024;
const timeoutMs = 180_000;
/** The end of a log is enough to see what happened last. */
const logMax = 6_000;

/** One test for each fault that can happen to this server. */
export function sinkFaultTests(subject: SinkSubject): void {
  for (const fault of faultsOf(subject).filter((name) => subject.notApplicable?.[name] === undefined)) {
    const name = `${subject.name}, ${fault}: ${promiseOf(subject, fault)}`;
    test(name, { timeout: timeoutMs }, async (context) => {
      const reason = reasonToSkip(subject, fault);
      if (reason !== undefined) return context.skip(reason);
      const started = await subject.start();
      const what = { file: context.task.file.filepath, name };
      const result = await withLogs(started, (rig) => repeatable(what, () => new FaultRun(subject, rig, fault).run()));
      recordFault(subject, fault, started.version, result);
    });
  }
}

function promiseOf({ losesWith, keepsOrder, repeats }: SinkSubject, fault: SinkFaultName): string {
  if (losesWith?.includes(fault)) return 'nothing that was accepted after it is missing';
  const once = repeats === 'none' ? ' once' : '';
  return `all that was accepted is there${once}${keepsOrder ? ', in order' : ''}`;
}

function reasonToSkip({ images, needsFor }: SinkSubject, fault: SinkFaultName): string | undefined {
  const wire = wireFaults.some((name) => name === fault) ? (['wire'] as const) : [];
  const own = needsFor?.[fault] ?? [];
  const slow = fault === 'slow' ? (['slow-link'] as const) : [];
  const memory = fault === 'out of memory' ? (['memory-limit'] as const) : [];
  const all = [...wire, ...slow, ...memory, ...own];
  return needs('linux', 'docker', ...images.map((name) => `${name}-image` as const), ...all);
}

/** What is thrown says what pipeline and server had logged. */
async function withLogs<Value>(started: StartedSubject, run: (rig: SinkRig) => Promise<Value>): Promise<Value> {
  await using rig = await SinkRig.start(started);
  try {
    return await run(rig);
  } catch (error) {
    if (error instanceof Error) {
      error.message += `\nthe pipeline had said:\n${rig.pipeline.log.slice(-logMax)}`;
      error.message += `\nthe server had said:\n${logOf(started)}`;
    }
    throw error;
  }
}

function logOf({ server }: StartedSubject): string {
  const args = ['logs', '--tail', '30', server.container.getId()];
  const { stdout, stderr } = spawnSync('docker', args, { encoding: 'utf8', timeout: 10_000 });
  return `${stdout}${stderr}`.slice(-logMax);
}

class FaultRun {
  readonly #subject: SinkSubject;
  readonly #rig: SinkRig;
  readonly #name: SinkFaultName;
  #kills = 0;

  constructor(subject: SinkSubject, rig: SinkRig, name: SinkFaultName) {
    this.#subject = subject;
    this.#rig = rig;
    this.#name = name;
  }

  get #mayLose(): boolean {
    return this.#subject.losesWith?.includes(this.#name) ?? false;
  }

  async run(): Promise<FaultResult> {
    const { load, subject, memory } = this.#rig;
    await this.#rig.accepts(some);
    await this.#rig.delivers();
    expect(await subject.answers(), 'a new client gets an answer before the fault').toBe(true);
    const acceptedBefore = load.accepted.length;
    const startedMs = performance.now();
    if (this.#name === 'pipeline killed') await this.#killAgainAndAgain();
    else await this.#goThrough(await sinkFaultOf(this.#name, subject));
    const outageMs = Math.round(performance.now() - startedMs);
    const acceptedMeanwhile = load.accepted.length - acceptedBefore;
    const recoveryMs = Math.round(await this.#rig.delivers());
    // From here on nothing may be lost, whatever the server is.
    const recovered = load.accepted.at(-1) ?? 0;
    expect(recoveryMs, 'recovery').toBeLessThan(this.#subject.recoveryMsMax ?? recoveryMsMax);
    expect(await subject.answers(), 'a new client gets an answer after the fault').toBe(true);
    await this.#rig.accepts(some);
    await this.#kill();
    await this.#rig.accepts(some);
    const { missing, repeats } = await this.#expectKept(recovered);
    const [kills, killsWithBatch, accepted] = [this.#kills, this.#rig.killsWithBatch, load.accepted.length];
    const memoryBytes = memory.peakBytes;
    const what = this.#name === 'starved' && subject.starvation !== undefined ? { what: subject.starvation.what } : {};
    return {
      ...what,
      outageMs,
      recoveryMs,
      acceptedMeanwhile,
      accepted,
      missing,
      repeats,
      kills,
      killsWithBatch,
      memoryBytes,
    };
  }

  async #goThrough(fault: Fault): Promise<void> {
    await fault.begin();
    await this.#accepts(silentFaults.includes(this.#name) ? silenceMs : 0);
    await this.#kill();
    await this.#accepts();
    await this.#expectFelt(fault);
    await fault.end();
  }

  async #killAgainAndAgain(): Promise<void> {
    for (let kill = 0; kill < killsInARow; kill += 1) {
      await this.#rig.accepts(some);
      await this.#kill();
    }
  }

  async #kill(): Promise<void> {
    await this.#rig.killPipeline();
    this.#kills += 1;
  }

  /** While the password is wrong: the sink says so, does not take it for an outage, and nothing leaves the disk. */
  async #accepts(atLeastMs = 0): Promise<void> {
    if (this.#name !== 'wrong password') return await this.#rig.accepts(some, { atLeastMs });
    const { delivered, rejectedEvents } = await this.#rig.reaches('blocked');
    for (let look = 0; look < 4; look += 1) {
      await this.#rig.accepts(some / 4);
      expect(await this.#rig.sink()).toMatchObject({ state: 'blocked', delivered, rejectedEvents });
    }
  }

  /** A fault that nobody could feel would prove nothing. A restart is over when it has begun. */
  async #expectFelt(fault: Fault): Promise<void> {
    const isOutage = faultNames.some((name) => name === this.#name && name !== 'restarted');
    if (isOutage || this.#name === 'out of memory')
      expect(await this.#rig.subject.answers(), 'a new client gets an answer meanwhile').toBe(false);
    if (fault.felt !== undefined) expect(await fault.felt(), 'the fault was felt').toBe(true);
    else if (this.#name === 'starved' && !this.#mayLose) expect(await this.#rig.backlog()).toBeGreaterThan(0);
  }

  async #expectKept(recovered: number): Promise<{ readonly missing: number; readonly repeats: number }> {
    const { memory } = this.#rig;
    expect(await this.#rig.finishes(), 'exit code of the pipeline').toBe(0);
    const { missing, repeats, disorder, invented } = await this.#rig.verdict();
    const unforgiven = this.#mayLose ? missing.filter((number) => number > recovered) : missing;
    expect(rangesOf(unforgiven), 'accepted and lost').toEqual([]);
    expect(invented, 'there and never sent').toEqual([]);
    if (this.#subject.keepsOrder) expect(rangesOf(disorder), 'out of order').toEqual([]);
    if (this.#subject.repeats === 'none') expect(repeats, 'repeats').toBe(0);
    expect(await this.#rig.storedEvents(), 'left on the disk').toBe(0);
    expect(memory.peakBytes, 'resident memory').toBeLessThan(memoryBytesMax);
    expect(memory.growthBytes, 'growth of one life').toBeLessThan(growthBytesMax);
    return { missing: missing.length, repeats };
  }
}

async function sinkFaultOf(name: Exclude<SinkFaultName, 'pipeline killed'>, subject: StartedSubject): Promise<Fault> {
  switch (name) {
    case 'out of memory':
      return await outOfMemory(subject.server);
    case 'slow':
      return await slowLink(subject.server);
    case 'starved':
      if (subject.starvation === undefined) throw new Error('the subject has no starvation: say so in notApplicable');
      return subject.starvation;
    case 'wrong password':
      if (subject.wrongPassword === undefined) throw new Error('the subject has no password: say so in notApplicable');
      return subject.wrongPassword;
    default:
      return await faultOf(name, subject.server);
  }
}
