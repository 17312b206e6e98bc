// An OpenTelemetry Collector as a sink's server: what it takes over OTLP/HTTP it writes into a file before it answers.
import { CollectorServer, type CollectorServerOptions } from '../collector-server.ts';
import { numbersIn } from '../number-load.ts';
import type { SinkSubject, StartedSubject } from './sink-subject.ts';

export const collector: SinkSubject = {
  name: 'OpenTelemetry Collector',
  images: ['collector'],
  keepsOrder: true,
  repeats: 'possible',
  notApplicable: {
    starved: 'what its exporters and its limits of memory do is its own affair; it answers 503 or 429 then',
    'wrong password': 'the one of the tests asks for none; what 401 and 403 do is tested with receivers of our own',
  },
  acknowledgement: 'The file exporter has written the events; nothing is synced.',
  setUp: 'no batch processor and no queue in front of an exporter that does not buffer, so its answer waits for it',
  repeatsBecause: 'A request whose answer was lost is sent again, and OTLP has nothing by which it would be dropped.',
  caveats: [
    'A Collector with a batch processor or a sending queue in memory answers for what only its memory has, and loses ' +
      'that when it is killed. Give its exporters a queue on its disk, or none.',
  ],
  start: async () => await CollectorSubject.start(),
};

export class CollectorSubject implements StartedSubject {
  readonly collector: CollectorServer;
  readonly version: string;
  readonly #numbers: number[] = [];

  private constructor(server: CollectorServer, version: string) {
    this.collector = server;
    this.version = version;
  }

  static async start(options?: CollectorServerOptions): Promise<CollectorSubject> {
    const started = await CollectorServer.start(options);
    const { output } = await started.server.container.exec(['/collector', '--version']);
    return new CollectorSubject(started, /version (\S+)/.exec(output)?.[1] ?? 'unknown');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.collector[Symbol.asyncDispose]();
  }

  get server(): StartedSubject['server'] {
    return this.collector.server;
  }

  get sink(): StartedSubject['sink'] {
    // Compressed, these events are so few bytes that a slow link would hardly be felt.
    return { type: 'otlp', endpoint: this.collector.url, compression: 'none' };
  }

  answers(): Promise<boolean> {
    return this.collector.answers();
  }

  async numbers(): Promise<readonly number[]> {
    for (const { request } of this.collector.written()) this.#numbers.push(...numbersIn(JSON.stringify(request)));
    return this.#numbers;
  }
}
