// A real OpenTelemetry Collector in a container that writes what it takes into a file, and what that file holds.
//
// Where it writes `at once` it keeps what it promises. There is no batch processor and no queue in front of the
// exporter, so its answer waits for the exporter; and an exporter that rotates does not buffer, so it waits for
// write(2). What has been written survives the end of the process. A machine that loses its power would be another
// matter: nothing is synced. `buffered`, it answers for what only its memory has, and writes the rest when it is asked
// to end.
//
// Killed while it writes, it leaves a request without its end, for which nobody got an answer: such are counted.
import { closeSync, existsSync, mkdtempSync, openSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { StringDecoder } from 'node:string_decoder';
import type { Signal } from '../src/otlp/signal.ts';
import { type StartedServer, startServer } from './containers.ts';
import { localImage } from './local-images.ts';

export interface WrittenRequest {
  readonly signal: Signal;
  readonly request: Readonly<Record<string, unknown>>;
}

export interface CollectorServerOptions {
  /** Before /v1/logs and its like. */
  readonly pathPrefix?: string;
  readonly writes?: 'at once' | 'buffered';
}

const otlpPort = 4318;
const fileOptions = {
  'at once': 'rotation: { max_megabytes: 10000 }',
  buffered: 'append: true, flush_interval: 1h',
} as const;
/** Where one request begins, also behind another one that has no end. */
const requestStart = /(?=\{"resource(?:Logs|Spans|Metrics)":)/;
const signalOf: Readonly<Record<string, Signal>> = {
  resourceLogs: 'logs',
  resourceSpans: 'traces',
  resourceMetrics: 'metrics',
};

export class CollectorServer implements AsyncDisposable {
  readonly server: StartedServer;
  readonly #folder: string;
  readonly #decoder = new StringDecoder('utf8');
  #readOffset = 0;
  #unended = '';
  #torn = 0;

  private constructor(server: StartedServer, folder: string) {
    this.server = server;
    this.#folder = folder;
  }

  static async start(options: CollectorServerOptions = {}): Promise<CollectorServer> {
    const image = localImage('collector');
    if (image === undefined) throw new Error('no image: see requirements.ts');
    const folder = mkdtempSync(join(tmpdir(), 'spillway-collector-'));
    try {
      writeFileSync(join(folder, 'collector.yaml'), configOf(options));
      const command = ['--config=/data/collector.yaml'];
      const ready = /Everything is ready/;
      const server = await startServer({ image, port: otlpPort, command, data: folder, ready });
      return new CollectorServer(server, folder);
    } catch (error) {
      rmSync(folder, { recursive: true, force: true });
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  get url(): string {
    return `http://127.0.0.1:${this.server.port}`;
  }

  /** Requests without an end that were found so far. */
  get torn(): number {
    return this.#torn;
  }

  /** Whether anything answers there now. */
  async answers(): Promise<boolean> {
    try {
      const answer = await fetch(this.url, { signal: AbortSignal.timeout(1_000) });
      await answer.arrayBuffer();
      return true;
    } catch {
      return false;
    }
  }

  /** What has been written since the last call. */
  written(): WrittenRequest[] {
    const lines = (this.#unended + this.#readOn()).split('\n');
    this.#unended = lines.pop() ?? '';
    return lines.flatMap((line) => line.split(requestStart)).flatMap((text) => this.#parsed(text));
  }

  #readOn(): string {
    const path = join(this.#folder, 'written.json');
    if (!existsSync(path)) return '';
    const file = openSync(path, 'r');
    try {
      const part = Buffer.alloc(1024 * 1024);
      let text = '';
      for (;;) {
        const length = readSync(file, part, 0, part.byteLength, this.#readOffset);
        if (length === 0) return text;
        this.#readOffset += length;
        text += this.#decoder.write(part.subarray(0, length));
      }
    } finally {
      closeSync(file);
    }
  }

  #parsed(text: string): WrittenRequest[] {
    try {
      const request = JSON.parse(text) as Record<string, unknown>;
      const signal = signalOf[Object.keys(request)[0] ?? ''];
      if (signal === undefined) throw new Error(`a request of no signal: ${text.slice(0, 200)}`);
      return [{ signal, request }];
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      this.#torn += 1;
      return [];
    }
  }
}

function configOf({ pathPrefix = '', writes = 'at once' }: CollectorServerOptions): string {
  const signals = ['traces', 'logs', 'metrics'];
  const paths = signals.map((signal) => `${signal}_url_path: ${pathPrefix}/v1/${signal}`);
  const pipelines = signals.map((signal) => `${signal}: { receivers: [otlp], exporters: [file] }`);
  return `
receivers:
  otlp: { protocols: { http: { endpoint: "0.0.0.0:${otlpPort}", ${paths.join(', ')} } } }
exporters:
  file: { path: /data/written.json, ${fileOptions[writes]} }
service:
  telemetry: { metrics: { level: none } }
  pipelines: { ${pipelines.join(', ')} }
`;
}
