// A collector for comparisons: what comes for each exporter is kept apart by the path that it is sent to, and decoded
// by definitions that share nothing with ours. It has moods, as collectors do.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';
import type { Signal } from '../src/otlp/signal.ts';
import { independentDecode } from '../test/otlp/independent-proto.ts';

/** `away`: nobody listens. `stalled`: it accepts and never answers. A number: the status of every answer. */
export type CollectorMood = 'taking' | 'away' | 'stalled' | 401 | 429 | 503;

type Plain = Readonly<Record<string, unknown>>;

export class TelemetryCollector {
  /** By exporter and signal, `spillway/traces`: the numbers of the items that were taken. */
  readonly #taken = new Map<string, Set<number>>();
  readonly #stalled = new Set<ServerResponse>();
  #mood: CollectorMood = 'taking';
  #server: Server | undefined;
  #port = 0;

  static async open(): Promise<TelemetryCollector> {
    const collector = new TelemetryCollector();
    await collector.#listen();
    return collector;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  taken(exporter: 'spillway' | 'official', signal: Signal): ReadonlySet<number> {
    return this.#taken.get(`${exporter}/${signal}`) ?? new Set();
  }

  async setMood(mood: CollectorMood): Promise<void> {
    this.#mood = mood;
    for (const response of this.#stalled) response.destroy();
    this.#stalled.clear();
    if (mood === 'away') await this.close();
    else if (this.#server === undefined) await this.#listen();
  }

  async close(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  }

  async #listen(): Promise<void> {
    const server = createServer((request, response) => this.#receive(request, response));
    server.listen(this.#port, '127.0.0.1');
    await once(server, 'listening');
    this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  #receive(request: IncomingMessage, response: ServerResponse): void {
    const parts: Buffer[] = [];
    request.on('error', () => response.destroy());
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      if (this.#mood === 'stalled') this.#stalled.add(response);
      else if (this.#mood !== 'taking') {
        response.writeHead(Number(this.#mood), this.#mood === 429 ? { 'retry-after': '1' } : {}).end();
      } else {
        this.#take(request, Buffer.concat(parts));
        response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end();
      }
    });
  }

  #take({ url = '', headers }: IncomingMessage, body: Buffer): void {
    const [, exporter = '', , signal = ''] = url.split('/');
    const bytes = headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body;
    const key = `${exporter}/${signal}`;
    const taken = this.#taken.get(key) ?? new Set();
    this.#taken.set(key, taken);
    for (const number of numbersOf(signal as Signal, independentDecode(signal as Signal, bytes))) taken.add(number);
  }
}

const layers: Readonly<Record<Signal, readonly string[]>> = {
  traces: ['resourceSpans', 'scopeSpans', 'spans'],
  logs: ['resourceLogs', 'scopeLogs', 'logRecords'],
  metrics: ['resourceMetrics', 'scopeMetrics', 'metrics', 'gauge', 'dataPoints'],
};

/** The numbers of the items in a decoded request, or in one that was read from JSON. */
export function numbersOf(signal: Signal, request: Plain): number[] {
  let found: Plain[] = [request];
  for (const layer of layers[signal]) found = found.flatMap((one) => [(one[layer] ?? []) as Plain | Plain[]].flat());
  return found.map((one) => {
    if (signal === 'metrics') return Number(one['asInt'] ?? one['asDouble']);
    const text = signal === 'traces' ? one['name'] : (one['body'] as Plain)['stringValue'];
    return Number(String(text).split(' ')[1]);
  });
}
