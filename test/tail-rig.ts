// A simulated host with log files on it and a file source that tails them, in virtual time. The source can be stopped,
// killed and started again; what it emitted is kept in the order in which the pipeline took it.

import type { ZodType } from 'zod';
import { decodeRequest } from '../src/otlp/decode.ts';
import type { TelemetryBatch } from '../src/otlp/signal.ts';
import type { Source, SourceContext } from '../src/pipeline/contract/source.ts';
import type { World } from '../src/pipeline/contract/world.ts';
import { fileSource } from '../src/pipeline/sources/file/file-source.ts';
import {
  type EmitAnswer,
  MemoryLog,
  type TestSourceContext,
  testSourceContext,
} from '../src/testing/pipeline-contexts.ts';
import { SimHost, type SimHostFiles } from '../src/testing/sim-host-files.ts';
import { SimClock, SimWorld } from '../src/testing/sim-world.ts';

export const logs = '/var/log';
export const stateDirectory = '/var/lib/spillway/tail';

export interface TailedLine {
  readonly text: string;
  readonly path: string;
  readonly fingerprint: string;
  readonly offset: number;
  readonly attributes: Readonly<Record<string, unknown>>;
}

interface Run {
  readonly context: TestSourceContext;
  readonly clock: SimClock;
  readonly ended: Promise<void>;
}

export class TailRig {
  readonly sim: SimWorld;
  readonly host: SimHost;
  readonly log: MemoryLog = new MemoryLog();
  /** Taken by the pipeline, by all runs. */
  readonly taken: TailedLine[] = [];
  files: SimHostFiles;
  answer: EmitAnswer = () => ({ kind: 'accepted' });
  readonly #options: object;
  #run: Run | undefined;

  constructor(options: object = {}, seed: number | string = 1) {
    this.sim = new SimWorld({ seed });
    this.host = new SimHost(this.sim);
    this.files = this.host.view();
    this.#options = { include: [`${logs}/app.log*`], ...options };
  }

  get isRunning(): boolean {
    return this.#run !== undefined;
  }

  get texts(): string[] {
    return this.taken.map(({ text }) => text);
  }

  async start(options: object = {}): Promise<void> {
    const clock = new SimClock(this.sim);
    this.files = this.host.view();
    const world: World = { clock, random: this.sim.random, files: this.files, fileSystem: undefined as never };
    const context = testSourceContext({ id: 'tail', stateDirectory, world });
    context.answerWith(async (batch, given) => {
      const result = await this.answer(batch, given);
      if (result.kind === 'accepted') this.taken.push(...linesOf(batch));
      return result;
    });
    const given: SourceContext = { ...context, log: this.log, emit: context.emit.bind(context) };
    const schema = fileSource.schema as ZodType;
    const source = (await fileSource.create(schema.parse({ ...this.#options, ...options }) as never, given)) as Source;
    const ended = source.run();
    ended.catch((cause: unknown) => this.sim.fail(cause));
    this.#run = { context, clock, ended };
  }

  async stop(): Promise<void> {
    const run = this.#run;
    this.#run = undefined;
    run?.context.stop();
    if (run !== undefined) await this.sim.run(run.ended);
  }

  /** Nothing that it was doing goes on, and nothing was tidied up. */
  kill(): void {
    this.files.kill();
    this.#run?.clock.stop();
    this.#run = undefined;
  }

  advance(byMs: number): Promise<void> {
    return this.sim.advance(byMs);
  }

  append(text: string, name = 'app.log'): void {
    this.host.append(`${logs}/${name}`, text);
  }

  rename(from: string, to: string): void {
    this.host.rename(`${logs}/${from}`, `${logs}/${to}`);
  }

  copy(from: string, to: string): void {
    this.host.copy(`${logs}/${from}`, `${logs}/${to}`);
  }

  truncate(name = 'app.log'): void {
    this.host.truncate(`${logs}/${name}`);
  }

  /** Lines by fingerprint and offset, each once, in the order in which they came first. */
  unique(): TailedLine[] {
    const seen = new Map<string, TailedLine>();
    for (const line of this.taken) {
      const key = `${line.fingerprint}@${line.offset}`;
      const before = seen.get(key);
      if (before === undefined) seen.set(key, line);
      else if (before.text !== line.text) throw new Error(`${key} is both "${before.text}" and "${line.text}"`);
    }
    return [...seen.values()];
  }
}

export function linesOf({ bytes }: TelemetryBatch): TailedLine[] {
  const request = decodeRequest('logs', bytes);
  const records = (request?.resourceLogs ?? []).flatMap(({ scopeLogs = [] }) =>
    scopeLogs.flatMap(({ logRecords = [] }) => logRecords),
  );
  return records.map(({ body, attributes: given = [] }) => {
    const attributes = Object.fromEntries(
      given.map(({ key, value }) => [key ?? '', value?.stringValue ?? value?.intValue ?? value?.boolValue]),
    );
    return {
      text: body?.stringValue ?? `bytes ${Buffer.from((body?.bytesValue as string) ?? '', 'base64').toString('hex')}`,
      path: String(attributes['log.file.path']),
      fingerprint: String(attributes['spillway.file.fingerprint']),
      offset: Number(attributes['spillway.file.offset']),
      attributes,
    };
  });
}
