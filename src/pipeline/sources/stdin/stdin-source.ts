// The source `stdin`: each line of the standard input becomes a log record.
//
// What was read from a pipe cannot be read again: nothing is remembered, and lines that nobody takes before the process
// ends are lost, counted and reported. While the pipeline takes nothing, nothing is read: the pipe fills, and its
// writer waits. The end of the input ends the source when the last line was taken, the one without an end included.

import type { Readable } from 'node:stream';
import { type ZodType, z } from 'zod';
import { pause } from '../../../platform/pause.ts';
import { defineSource, type SourceDefinition } from '../../contract/definition.ts';
import type { Source, SourceContext } from '../../contract/source.ts';
import { bodyOf, type CutEnd, type CutRules, cutLines } from '../lines/line-cutter.ts';
import { LineEmission, type LogLine, truncatedAttribute } from '../lines/line-emission.ts';
import { cutRulesOf, type LineOptions, lineOptions } from '../lines/line-options.ts';
import { SkipReport } from '../lines/skip-report.ts';

const schema: ZodType<LineOptions> = z.strictObject({ ...lineOptions });

export const stdinSource: SourceDefinition = stdinSourceFrom(() => process.stdin);

/** The source with another input than that of the process. */
export function stdinSourceFrom(open: () => Readable): SourceDefinition {
  return defineSource({
    type: 'stdin',
    schema,
    signals: () => ['logs'],
    check: (_options, { earlier: [other] }) => {
      const message = `"${other?.id}" reads the standard input already, of which each would get a part; expected one`;
      return other === undefined ? [] : [{ path: ['type'], message }];
    },
    create: (options, context) => new StdinSource(cutRulesOf(options), context, open()),
  });
}

const nothing = Buffer.alloc(0);
/** More is not joined to one batch. */
const batchBytesMax = 1024 * 1024;

class StdinSource implements Source {
  readonly #rules: CutRules;
  readonly #context: SourceContext;
  readonly #input: Readable;
  readonly #emission: LineEmission;
  readonly #skips: SkipReport;
  #rest: Buffer = nothing;
  #midLine = false;
  #isGroupOpen = false;
  #grownMs = 0;
  #hasFailed = false;
  /** Ends the current wait. */
  #wake: AbortController = new AbortController();

  constructor(rules: CutRules, context: SourceContext, input: Readable) {
    this.#rules = rules;
    this.#context = context;
    this.#input = input;
    this.#emission = new LineEmission(context);
    this.#skips = new SkipReport(context.world.clock, context.log);
  }

  async run(): Promise<void> {
    const wake = (): void => this.#wake.abort();
    const fail = (error: unknown): void => {
      this.#hasFailed = true;
      this.#context.log.error('The standard input cannot be read any further', { error });
      wake();
    };
    const input = this.#input;
    const { stopping } = this.#context;
    for (const event of ['readable', 'end', 'close']) input.on(event, wake);
    input.on('error', fail);
    stopping.addEventListener('abort', wake);
    try {
      await this.#read();
    } finally {
      for (const event of ['readable', 'end', 'close']) input.off(event, wake);
      input.off('error', fail);
      stopping.removeEventListener('abort', wake);
      this.#skips.end();
      letGo(input);
    }
  }

  async #read(): Promise<void> {
    const { world, stopping } = this.#context;
    while (!stopping.aborted) {
      this.#wake = new AbortController();
      const bytes = this.#take();
      if (bytes.length > 0) {
        this.#rest = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
        this.#grownMs = world.clock.monotonic();
        await this.#emit('leave');
      } else if (this.#input.readableEnded || this.#input.destroyed || this.#hasFailed) {
        break;
      } else {
        await this.#wait();
      }
    }
    await this.#emit('end_all'); // It was taken, and cannot be put back.
  }

  /** What is there, without waiting for more. */
  #take(): Buffer {
    const chunks: Buffer[] = [];
    for (let length = 0; length < batchBytesMax; ) {
      const chunk = this.#input.read() as Buffer | string | null;
      if (chunk === null) break;
      chunks.push(typeof chunk === 'string' ? Buffer.from(chunk) : chunk);
      length += chunk.length;
    }
    return chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
  }

  /** Until more can be read, the input ends, the source is to stop, or a group has waited long enough. */
  async #wait(): Promise<void> {
    const { signal } = this.#wake;
    const { joining } = this.#rules;
    if (!this.#isGroupOpen || joining === undefined) {
      await new Promise<void>((resolve) => {
        if (signal.aborted) resolve();
        else signal.addEventListener('abort', () => resolve(), { once: true });
      });
      return;
    }
    const { clock } = this.#context.world;
    const untilMs = this.#grownMs + joining.timeoutMs;
    await pause(clock, Math.max(0, untilMs - clock.monotonic()), signal);
    if (clock.monotonic() >= untilMs) await this.#emit('end_group');
  }

  async #emit(end: CutEnd): Promise<void> {
    const bytes = this.#rest;
    const cut = cutLines({ bytes, from: 0, to: bytes.length, midLine: this.#midLine, end }, this.#rules);
    this.#rest = bytes.subarray(cut.consumed);
    this.#midLine = cut.midLine;
    this.#isGroupOpen = cut.isGroupOpen;
    this.#skips.add(cut.skippedBytes);
    const observedMs = this.#context.world.clock.now();
    const lines = cut.events.map((event): LogLine => {
      const attributes = event.isTruncated ? { [truncatedAttribute]: true } : {};
      return { body: bodyOf(bytes, event), observedMs, attributes };
    });
    if ((await this.#emission.emit(lines)) === 'taken') return;
    this.#context.log.error('Lines of the standard input were not taken before the end, and are lost', {
      lines: lines.length,
    });
  }
}

/** Nobody listens any more: an open pipe must not keep the process alive. */
function letGo(input: Readable): void {
  input.pause();
  if ('unref' in input && typeof input.unref === 'function') input.unref();
}
