// The application of programs/telemetry-application.ts as a child, and what it has reported so far.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Signal } from '../src/otlp/signal.ts';
import { root } from '../test/tidy/source.ts';
import type { ApplicationEnd, ApplicationOptions } from './programs/telemetry-application.ts';

export type ApplicationGiven = Omit<ApplicationOptions, 'packages' | 'source'>;

/** Where a major version of the SDK is, and the source that finds its packages. */
export interface SdkLine {
  readonly packages: string;
  readonly source: string;
}

/** The one that this repository has installed. */
export const currentLine: SdkLine = {
  packages: join(root, 'integration/package.json'),
  source: join(root, 'src'),
};

/** The major versions of the SDK that are meant, by the packages that bring them. */
const linePackages = {
  2: ['@opentelemetry/api@1.9.0', '@opentelemetry/sdk-node@0.223.0'],
  3: ['@opentelemetry/api@1.10.0', '@opentelemetry/sdk-node@0.301.0'],
} as const;

/**
 * A major version of the SDK, installed into the cache folder, with a copy of the source beside it: packages are found
 * from the folder that a file is in. Undefined when the registry is out of reach.
 */
export async function installedLine(major: keyof typeof linePackages): Promise<SdkLine | undefined> {
  const prefix = join(root, `.cache/opentelemetry-${major}`);
  const packages = join(prefix, 'package.json');
  const installed = join(prefix, 'node_modules/@opentelemetry/sdk-node/package.json');
  mkdirSync(prefix, { recursive: true });
  if (!existsSync(installed)) {
    writeFileSync(packages, '{ "private": true, "type": "module" }\n');
    const quiet = ['--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline', '--fetch-retries=0'];
    const npm = promisify(execFile)('npm', ['install', '--prefix', prefix, ...linePackages[major], ...quiet], {
      timeout: 180_000,
    });
    if ((await npm.catch(() => undefined)) === undefined) return undefined;
  }
  const source = mkdtempSync(join(prefix, 'src-')); // Another test may be running from its own copy.
  cpSync(join(root, 'src'), source, { recursive: true });
  return { packages, source };
}

export class TelemetryProcess {
  /** What the application's exports were told: the numbers of items that the buffer has accepted. */
  readonly acknowledged: Readonly<Record<Signal, Set<number>>> = {
    traces: new Set(),
    logs: new Set(),
    metrics: new Set(),
  };
  readonly #child: ChildProcess;
  readonly #ended = Promise.withResolvers<ApplicationEnd | undefined>();
  readonly #started = Promise.withResolvers<void>();
  #output = '';
  #errors = '';

  constructor(line: SdkLine, given: ApplicationGiven) {
    const program = join(import.meta.dirname, 'programs/telemetry-application.ts');
    const argument = JSON.stringify({ ...line, ...given });
    const env = { PATH: process.env['PATH'], TMPDIR: process.env['TMPDIR'] };
    const args = ['--conditions=spillway-source', '--disable-warning=ExperimentalWarning', program, argument];
    this.#child = spawn(process.execPath, args, { env, stdio: ['pipe', 'pipe', 'pipe'] });
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => this.#read(text));
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#errors += text;
    });
    this.#child.on('close', (code) => {
      this.#started.reject(new Error(`the application ended with ${code}: ${this.#errors}`));
      this.#ended.resolve(undefined);
    });
    this.#started.promise.catch(() => undefined);
  }

  async started(): Promise<void> {
    await this.#started.promise;
  }

  /** Shuts the SDK down and waits for the process to end by itself. */
  async stop(): Promise<ApplicationEnd> {
    const closed = once(this.#child, 'close');
    this.#child.stdin?.write('stop\n');
    const end = await this.#ended.promise;
    await closed;
    if (end === undefined) throw new Error(`the application ended without a word: ${this.#errors}`);
    return end;
  }

  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const closed = once(this.#child, 'close');
    this.#child.kill('SIGKILL');
    await closed;
  }

  #read(text: string): void {
    this.#output += text;
    const lines = this.#output.split('\n');
    this.#output = lines.pop() ?? '';
    for (const line of lines) this.#take(JSON.parse(line) as Line);
  }

  #take({ started, ack, end }: Line): void {
    if (started !== undefined) this.#started.resolve();
    if (ack !== undefined) for (const number of ack.numbers) this.acknowledged[ack.signal].add(number);
    if (end !== undefined) this.#ended.resolve(end);
  }
}

interface Line {
  readonly started?: number;
  readonly ack?: { readonly signal: Signal; readonly numbers: readonly number[] };
  readonly end?: ApplicationEnd;
}
