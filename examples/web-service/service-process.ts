// The service as a child process, with the telemetry that it is told: it can be killed and started again.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Counted } from './receiver.ts';

export interface ServiceOptions {
  /** A module that sets the telemetry up: a file of this folder, or a package's. */
  readonly telemetry: string;
  readonly collector: () => string;
  /** For the buffer, and for what the demo is told of exports. */
  readonly folder: string;
}

const endMsMax = 30_000;
const here = new URL('.', import.meta.url).pathname;

export class ServiceProcess {
  readonly #options: ServiceOptions;
  #child: ChildProcess | undefined;
  #errors = '';

  constructor(options: ServiceOptions) {
    this.#options = options;
  }

  /** What the service has said on stderr, in all its lives. */
  get errors(): string {
    return this.#errors;
  }

  /** Resolves with its address when it listens. */
  async start(): Promise<string> {
    const { telemetry, collector, folder } = this.#options;
    const imports = [join(here, 'witness.ts'), telemetry].flatMap((module) => ['--import', module]);
    const child = spawn(process.execPath, ['--conditions=spillway-source', ...imports, join(here, 'service.ts')], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        PORT: '0',
        WITNESS: this.#witness,
        SPILLWAY_BUFFER_PATH: join(folder, 'telemetry'),
        OTEL_SERVICE_NAME: 'shop',
        OTEL_EXPORTER_OTLP_ENDPOINT: collector(),
        OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip',
        OTEL_METRIC_EXPORT_INTERVAL: '1000',
        OTEL_METRIC_EXPORT_TIMEOUT: '1000',
      },
    });
    this.#child = child;
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#errors += text;
    });
    return await addressOf(child, () => this.#errors);
  }

  /** SIGKILL: no goodbye, no last write. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** SIGTERM: it closes, shuts its telemetry down, and ends by itself; or is killed when that takes too long. */
  async stop(): Promise<void> {
    const late = setTimeout(() => this.#child?.kill('SIGKILL'), endMsMax);
    await this.#end('SIGTERM');
    clearTimeout(late);
  }

  /** By signal, the spans and logs whose export was acknowledged: trace id and span id, in hex. */
  acknowledged(): Readonly<Record<Counted, ReadonlySet<string>>> {
    const keys = { traces: new Set<string>(), logs: new Set<string>() };
    for (const line of readFileSync(this.#witness, { encoding: 'utf8', flag: 'a+' }).split('\n')) {
      const [signal, key] = line.split(' ');
      if (key !== undefined) keys[signal as Counted].add(key);
    }
    return keys;
  }

  get #witness(): string {
    return join(this.#options.folder, 'acknowledged.txt');
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  }
}

async function addressOf(child: ChildProcess, errors: () => string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let output = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    output += text;
    const found = /listening on (\S+)\n/.exec(output)?.[1];
    if (found !== undefined) resolve(found);
  });
  child.once('error', reject);
  child.once('close', () => reject(new Error(`the service ended before it listened: ${errors()}`)));
  return await promise;
}
