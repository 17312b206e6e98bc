// The service, its customers and a collector in one play: the collector goes away, the service is killed in the middle
// of that and started again, the collector comes back. Then it is counted what became of every span and log.
//
//   node --conditions=spillway-source examples/web-service/demo.ts [--official | --register]
//
// The exit code is 1 if something is missing whose export was acknowledged; and, but for the official exporters, if
// anything is missing that was made after the service had come back.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Customers } from './customers.ts';
import { type Counted, Receiver } from './receiver.ts';
import { ServiceProcess } from './service-process.ts';

/** A phase takes this long, and longer where the machine is so busy that fewer requests are answered in it. */
const phaseMs = 1_000;
const batchMs = 300;
const phaseMsMax = 20_000;
const outageMs = 2_500; // Before the kill; more of it follows.
const requestsMin = 20;
/** The longest pause between two tries, and some more. */
const arrivalMsMax = 40_000;

/** What became of the spans, or the logs, of the requests that were answered. */
interface Account {
  readonly made: number;
  readonly arrived: number;
  readonly missing: number;
  /** Answered, and not with the collector: how long before the kill at most; below 0 is after it. */
  readonly missingSinceMs: readonly number[];
  /** Acknowledged, and not with the collector. */
  readonly lost: number;
}

class Demo {
  readonly #folder = mkdtempSync(join(tmpdir(), 'spillway-web-service-'));
  readonly #customers = new Customers();
  readonly #receiver = new Receiver(this.#customers.mark);
  readonly #service: ServiceProcess;
  readonly #startMs = performance.now();
  #killedMs = 0;
  /** Nothing of the killed service is answered from here on. */
  #backMs = 0;
  /** Acknowledged before the kill, and not with the collector: what a process that keeps nothing would lose. */
  #onDisk = 0;

  constructor(telemetry: string) {
    this.#service = new ServiceProcess({ telemetry, collector: () => this.#receiver.url, folder: this.#folder });
  }

  /** Counts, and says what it has counted. */
  async run(): Promise<{ readonly isSafe: boolean; readonly isWhole: boolean }> {
    try {
      await this.#receiver.comeBack();
      await this.#play();
      return this.#count();
    } finally {
      await this.#service.kill();
      await this.#receiver.goAway();
      rmSync(this.#folder, { recursive: true, force: true });
      await this.#customers.leave();
    }
  }

  async #play(): Promise<void> {
    const [service, customers, receiver] = [this.#service, this.#customers, this.#receiver];
    customers.direct(await service.start());
    customers.come(4);
    this.#say('the service answers, the collector is there');
    await this.#phase(phaseMs);
    await receiver.goAway();
    this.#say('the collector is away');
    await this.#phase(outageMs);
    this.#killedMs = performance.now();
    await service.kill();
    this.#onDisk = this.#lost('traces');
    this.#say('the service was killed (SIGKILL)');
    const address = await service.start();
    this.#backMs = performance.now();
    customers.direct(address);
    this.#say('the service is back, the collector is still away');
    await this.#phase(phaseMs);
    await receiver.comeBack();
    this.#say('the collector is back');
    await this.#phase(phaseMs);
    await customers.leave();
    await this.#arrivals();
    await service.stop();
    this.#say('the service has ended');
    process.stdout.write(service.errors);
  }

  async #phase(ms: number): Promise<void> {
    const { answered } = this.#customers;
    const goal = answered.length + requestsMin;
    const endMs = performance.now() + phaseMsMax;
    await sleep(ms);
    while (answered.length < goal && !this.#customers.haveFailed) {
      if (performance.now() > endMs) throw new Error(`the service answers too little: ${this.#service.errors}`);
      await sleep(20);
    }
  }

  /** Until the collector has what was acknowledged, or there is no hope: whoever counts finds out. */
  async #arrivals(): Promise<void> {
    const endMs = performance.now() + arrivalMsMax;
    await sleep(batchMs); // The last batches are on their way to the exporter.
    while (this.#lost('traces') + this.#lost('logs') > 0 && performance.now() < endMs) await sleep(50);
  }

  #count(): { readonly isSafe: boolean; readonly isWhole: boolean } {
    const { answered, unanswered } = this.#customers;
    const { repeated, metricRequests } = this.#receiver;
    const [spans, logs] = [this.#account('traces'), this.#account('logs')];
    const since = [...spans.missingSinceMs, ...logs.missingSinceMs];
    // An answer that the killed service had sent may be read a moment after the kill: only the next one's count here.
    const after = since.filter((ms) => ms < this.#killedMs - this.#backMs).length;
    const lines = [
      `requests  answered ${answered.length}  unanswered ${unanswered} (while the service was down)`,
      `spans  ${sentence(spans)}`,
      `logs  ${sentence(logs)}`,
      `metrics  requests ${metricRequests}`,
      `missing  from ${Math.round(Math.max(0, ...since))} ms before the kill  requests after it ${after}`,
      `spans on disk only at the kill ${this.#onDisk}`,
      `repeated ${repeated}  outages 1  kills 1`,
    ];
    process.stdout.write(`${lines.join('\n')}\n`);
    return { isSafe: spans.arrived > 0 && spans.lost + logs.lost === 0, isWhole: after === 0 };
  }

  #account(signal: Counted): Account {
    const byRequest = new Map<number, number>();
    for (const key of this.#receiver.arrived[signal]) {
      const number = Number.parseInt(key.slice(16, 32), 16);
      byRequest.set(number, (byRequest.get(number) ?? 0) + 1);
    }
    let [made, arrived] = [0, 0];
    const missingSinceMs: number[] = [];
    for (const visit of this.#customers.answered) {
      const expected = signal === 'traces' ? visit.spans : visit.logs;
      const found = byRequest.get(visit.number) ?? 0;
      made += expected;
      arrived += found;
      if (found < expected) missingSinceMs.push(this.#killedMs - visit.atMs);
    }
    return { made, arrived, missing: made - arrived, missingSinceMs, lost: this.#lost(signal) };
  }

  #lost(signal: Counted): number {
    const arrived = this.#receiver.arrived[signal];
    return [...this.#service.acknowledged()[signal]].filter((key) => !arrived.has(key)).length;
  }

  #say(what: string): void {
    const seconds = ((performance.now() - this.#startMs) / 1000).toFixed(1);
    const { length } = this.#customers.answered;
    process.stdout.write(`${seconds.padStart(5)} s  ${what}; ${length} requests answered\n`);
  }
}

function sentence({ made, arrived, missing, lost }: Account): string {
  return `made ${made}  arrived ${arrived}  missing ${missing}  lost although acknowledged ${lost}`;
}

const { values } = parseArgs({ options: { official: { type: 'boolean' }, register: { type: 'boolean' } } });
const file = values.official ? 'official.ts' : 'buffered.ts';
const telemetry = values.register ? 'spillway/opentelemetry/register' : join(import.meta.dirname, file);
const { isSafe, isWhole } = await new Demo(telemetry).run();
process.exitCode = isSafe && (isWhole || values.official) ? 0 : 1;
