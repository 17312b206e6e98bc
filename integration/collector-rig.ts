// A pipeline between clients that send numbered log records and a real Collector, and what must be true of the file
// that the Collector has written.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CollectorServer, type CollectorServerOptions } from './collector-server.ts';
import { freePort } from './free-port.ts';
import { Arrivals, type NumberedEvent } from './numbered-events.ts';
import { OtlpClient } from './otlp-client.ts';
import { SpillwayProcess } from './spillway-process.ts';

/** Far beyond what anything here takes on a busy machine. */
const patienceMs = 60_000;
const clientCount = 3;
const eventsPerRequest = 10;

export class CollectorRig implements AsyncDisposable {
  readonly collector: CollectorServer;
  readonly pipeline: SpillwayProcess;
  readonly arrivals: Arrivals = new Arrivals();
  readonly clients: readonly OtlpClient[];
  readonly #folder: string;
  readonly #running: readonly Promise<void>[];

  private constructor(collector: CollectorServer, folder: string, ports: { source: number; health: number }) {
    this.collector = collector;
    this.#folder = folder;
    const config = configOf(collector.url, ports.source);
    this.pipeline = new SpillwayProcess({ folder, config, healthPort: ports.health });
    this.pipeline.start();
    const url = (): string => `http://127.0.0.1:${ports.source}`;
    this.clients = Array.from(
      { length: clientCount },
      (_, index) => new OtlpClient({ name: `client-${index}`, url, eventsPerRequest }),
    );
    this.#running = this.clients.map((client) => client.run());
  }

  static async start(options?: CollectorServerOptions): Promise<CollectorRig> {
    const ports = { source: await freePort(), health: await freePort() };
    const collector = await CollectorServer.start(options);
    return new CollectorRig(collector, mkdtempSync(join(tmpdir(), 'spillway-collector-rig-')), ports);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stopClients();
    if (this.pipeline.isRunning) await this.pipeline.kill();
    await this.collector[Symbol.asyncDispose]();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async stopClients(): Promise<void> {
    for (const client of this.clients) client.stop();
    await Promise.all(this.#running);
  }

  /** Waits until the pipeline has answered 200 for so many events more. */
  async accepts(events: number): Promise<void> {
    const goal = this.#acceptedEvents() + events;
    await this.#until(`${events} more events accepted`, () => this.#acceptedEvents() >= goal);
  }

  /** Waits until what is accepted now has been written by the Collector. Gives the time it took. */
  async delivers(): Promise<number> {
    const goals = this.clients.map(({ name, accepted }) => ({ client: name, last: lastOf(accepted) }));
    const startedMs = performance.now();
    await this.#until('everything accepted is written', () => {
      this.read();
      return goals.every(({ client, last }) => last === 0 || this.arrivals.has(client, last));
    });
    return performance.now() - startedMs;
  }

  /** Kills the pipeline with SIGKILL and starts it again. */
  async killPipeline(): Promise<void> {
    await this.pipeline.kill();
    this.pipeline.start();
  }

  /** Waits until nothing waits for the sink. The clients must have been stopped. */
  async empties(): Promise<void> {
    await this.pipeline.until(({ buffers }) => buffers.every(({ backlog }) => backlog.events === 0));
    this.read();
  }

  /** Takes note of what the Collector has written meanwhile. */
  read(): void {
    for (const { request } of this.collector.written()) this.arrivals.take(writtenEvents(request));
  }

  /** Everything that got a 200 until now. */
  accepted(): NumberedEvent[] {
    return this.clients.flatMap(({ name, accepted }) =>
      accepted.flatMap(({ first, count }) =>
        Array.from({ length: count }, (_, index) => ({ client: name, number: first + index })),
      ),
    );
  }

  /** Accepted, and not written: nothing, if the promise holds. */
  missing(): string[] {
    return this.accepted()
      .filter(({ client, number }) => !this.arrivals.has(client, number))
      .map(({ client, number }) => `${client} ${number}`);
  }

  #acceptedEvents(): number {
    return this.clients.reduce((sum, { acceptedEvents }) => sum + acceptedEvents, 0);
  }

  async #until(what: string, isSo: () => boolean): Promise<void> {
    const deadlineMs = performance.now() + patienceMs;
    while (!isSo()) {
      if (!this.pipeline.isRunning) throw new Error(`the pipeline ended by itself:\n${this.pipeline.log}`);
      if (performance.now() > deadlineMs) throw new Error(`not so after a minute: ${what}:\n${this.pipeline.log}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

interface WrittenLogs {
  readonly resourceLogs?: readonly {
    readonly scopeLogs: readonly {
      readonly logRecords: readonly { readonly body: { readonly stringValue: string } }[];
    }[];
  }[];
}

/** The events of a request as the Collector writes it, in their order. Throws where there is something else. */
function writtenEvents({ resourceLogs = [] }: WrittenLogs): NumberedEvent[] {
  const records = resourceLogs.flatMap(({ scopeLogs }) => scopeLogs.flatMap(({ logRecords }) => logRecords));
  return records.map(({ body: { stringValue } }) => {
    const parts = /^(\S+) (\d+) /.exec(stringValue);
    if (parts === null) throw new Error(`an event that nobody sent: ${stringValue}`);
    return { client: parts[1] ?? '', number: Number(parts[2]) };
  });
}

function lastOf(accepted: readonly { readonly first: number; readonly count: number }[]): number {
  const last = accepted.at(-1);
  return last === undefined ? 0 : last.first + last.count - 1;
}

function configOf(collectorUrl: string, sourcePort: number): string {
  return `
data_dir: data
sources:
  in: { type: otlp, address: "127.0.0.1:${sourcePort}" }
sinks:
  out:
    type: otlp
    inputs: [in]
    endpoint: ${collectorUrl}
    buffer: { type: disk, max_size: 64MiB, durability: sync }
    request: { timeout_secs: 2, retry_initial_backoff_secs: 0.05, retry_max_duration_secs: 0.5 }
`;
}
