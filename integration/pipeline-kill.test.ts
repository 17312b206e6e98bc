// The whole pipeline is killed with SIGKILL, again and again, under load, with a receiver that fails, stalls and comes
// back: every event that a client got a 200 for arrives, in order for each client. Repeats are counted and bounded.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { SeededRandom } from '../src/testing/index.ts';
import { byScale, repeatable, seedOr } from '../test/sweep.ts';
import { freePort } from './free-port.ts';
import { MoodyReceiver, moods } from './moody-receiver.ts';
import { OtlpClient } from './otlp-client.ts';
import { SpillwayProcess } from './spillway-process.ts';

const file = import.meta.filename;
const name = 'loses nothing that a client got a 200 for, and keeps every client in order';
const seed = seedOr(1);
const kills = byScale({ sample: 3, full: 60 });
const clientCount = 4;
const eventsPerRequest = 25;
/** Requests that are accepted between two kills, so that each life has something to lose. */
const lifeRequests = { min: 20, max: 120 };
const timeoutMs = byScale({ sample: 180_000, full: 15 * 60_000 });
/** What one life may repeat: the batch at the receiver, and what was acknowledged since the last ledger publish. */
const batchEventsMax = 2_000;

type Summary = {
  readonly accepted: number;
  readonly missing: readonly string[];
  readonly disorder: readonly string[];
  readonly repeats: number;
  readonly repeatsMax: number;
  readonly kills: number;
};

/** Everything that runs, and the chance that decides. */
class Run {
  readonly folder: string = mkdtempSync(join(tmpdir(), 'spillway-pipeline-kill-'));
  readonly receiver = new MoodyReceiver();
  readonly random = new SeededRandom(seed);
  moodChanges = 0;

  async run(): Promise<Summary> {
    await this.receiver.open();
    const [sourcePort, healthPort] = [await freePort(), await freePort()];
    const pipeline = new SpillwayProcess({ folder: this.folder, healthPort, config: this.#config(sourcePort) });
    pipeline.start();
    await pipeline.until(({ sources }) => sources[0]?.address !== undefined);
    const url = (): string => `http://127.0.0.1:${sourcePort}`;
    const clients = Array.from(
      { length: clientCount },
      (_, index) => new OtlpClient({ name: `client-${index}`, url, eventsPerRequest }),
    );
    const running = clients.map((client) => client.run());
    const change = this.#keepChanging();
    for (let kill = 0; kill < kills; kill++) {
      await this.#untilAccepted(clients, this.random.between(lifeRequests.min, lifeRequests.max), pipeline);
      await pipeline.kill();
      pipeline.start();
    }
    await this.#untilAccepted(clients, lifeRequests.min, pipeline);
    for (const client of clients) client.stop();
    change.stop();
    await Promise.all([...running, change.done]);
    await this.receiver.setMood('taking');
    await pipeline.until(({ buffers }) => buffers[0]?.backlog.events === 0);
    await pipeline.stop();
    return this.#judge(clients);
  }

  async end(): Promise<void> {
    await this.receiver.close();
    rmSync(this.folder, { recursive: true, force: true });
  }

  #config(port: number): string {
    return `
data_dir: data
sources:
  in: { type: otlp, address: "127.0.0.1:${port}" }
sinks:
  out:
    type: otlp
    inputs: [in]
    endpoint: ${this.receiver.url}
    buffer: { type: disk, max_size: 64MiB, durability: sync }
    batch: { max_events: ${batchEventsMax} }
    request: { timeout_secs: 1, retry_initial_backoff_secs: 0.02, retry_max_duration_secs: 0.2 }
`;
  }

  /** A new mood after every few requests; a receiver that is away gets none, so it comes back after a while. */
  #keepChanging(): { readonly stop: () => void; readonly done: Promise<void> } {
    let goesOn = true;
    const random = this.random.fork('moods');
    const loop = async (): Promise<void> => {
      while (goesOn) {
        const mood = moods[random.int(moods.length)] ?? 'taking';
        await this.receiver.setMood(random.fraction() < 0.4 ? 'taking' : mood);
        this.moodChanges += 1;
        await new Promise((resolve) => setTimeout(resolve, random.between(20, 400)));
      }
    };
    return {
      stop: () => {
        goesOn = false;
      },
      done: loop(),
    };
  }

  async #untilAccepted(clients: readonly OtlpClient[], requests: number, pipeline: SpillwayProcess): Promise<void> {
    const count = (): number => clients.reduce((sum, { accepted }) => sum + accepted.length, 0);
    const wanted = count() + requests;
    while (count() < wanted) {
      if (!pipeline.isRunning) throw new Error(`the pipeline ended by itself:\n${pipeline.log}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  #judge(clients: readonly OtlpClient[]): Summary {
    const { arrivals, unansweredEvents } = this.receiver;
    const missing: string[] = [];
    for (const client of clients) {
      for (const { first, count } of client.accepted) {
        for (let number = first; number < first + count; number++) {
          if (!arrivals.has(client.name, number)) missing.push(`${client.name} ${number}`);
        }
      }
    }
    const accepted = clients.reduce((sum, { acceptedEvents }) => sum + acceptedEvents, 0);
    // Repeated is what got no answer, what was at the receiver at a kill, and what the ledger had not heard of.
    const repeatsMax = unansweredEvents + (kills + this.moodChanges) * batchEventsMax;
    const { disorder, repeats } = arrivals;
    return { accepted, missing, disorder, repeats, repeatsMax, kills };
  }
}

describe('a pipeline that is killed', () => {
  test(name, { timeout: timeoutMs }, async () => {
    const run = new Run();
    try {
      const summary = await repeatable({ file, name, seed }, () => run.run());
      expect(summary.missing).toEqual([]);
      expect(summary.disorder).toEqual([]);
      expect(summary.accepted).toBeGreaterThanOrEqual(kills * lifeRequests.min * eventsPerRequest);
      expect(summary.repeats).toBeLessThanOrEqual(summary.repeatsMax);
    } finally {
      await run.end();
    }
  });
});
