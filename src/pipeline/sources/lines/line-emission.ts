// Lines on their way into the pipeline: encoded as one OTLP request, offered until somebody has taken them.
//
// The answers: `accepted` and `dropped` end it; `full` and `unavailable` repeat the same batch; `too_large` halves it,
// down to the single line, which is counted, reported and left out: it could never go anywhere.

import { hostname } from 'node:os';
import { encodeLogLines, type LineAttributes } from '../../../otlp/log-lines.ts';
import { pause } from '../../../platform/pause.ts';
import type { EmitResult, SourceContext } from '../../contract/source.ts';

export interface LogLine {
  /** Goes out as text, or as bytes where it is no UTF-8. */
  readonly body: Uint8Array;
  readonly observedMs: number;
  readonly attributes: LineAttributes;
}

/** `stopped`: the source is to stop, and nobody has taken the lines, or not all of them. */
export type EmissionEnd = 'taken' | 'stopped';

/** A line was cut at `max_line_bytes`. */
export const truncatedAttribute = 'spillway.line.truncated';

const retryMsMin = 50;

export class LineEmission {
  readonly #context: SourceContext;
  readonly #resource: Readonly<Record<string, string>>;
  #leftOut = 0;

  constructor(context: SourceContext) {
    this.#context = context;
    this.#resource = { 'host.name': hostname() };
  }

  /** Lines that no buffer can ever take. */
  get leftOut(): number {
    return this.#leftOut;
  }

  async emit(lines: readonly LogLine[]): Promise<EmissionEnd> {
    if (lines.length === 0) return 'taken';
    const bytes = encodeLogLines({ resource: this.#resource, scope: { name: 'spillway' }, lines });
    const result = await this.#offer(bytes, lines.length);
    if (result === 'stopped') return 'stopped';
    if (result.kind !== 'too_large') return 'taken';
    const [first] = lines;
    if (lines.length === 1 && first !== undefined) {
      this.#leaveOut(first, result.limitBytes);
      return 'taken';
    }
    const middle = lines.length >> 1;
    const end = await this.emit(lines.slice(0, middle)); // In order: the second half waits for the first.
    return end === 'stopped' ? end : await this.emit(lines.slice(middle));
  }

  async #offer(bytes: Uint8Array, events: number): Promise<Exclude<EmitResult, { retryAfterMs: number }> | 'stopped'> {
    const { world, stopping } = this.#context;
    for (;;) {
      const result = await this.#context.emit({ signal: 'logs', events, bytes });
      if (result.kind !== 'full' && result.kind !== 'unavailable') return result;
      if (stopping.aborted) return 'stopped';
      await pause(world.clock, Math.max(retryMsMin, result.retryAfterMs), stopping);
      if (stopping.aborted) return 'stopped';
    }
  }

  #leaveOut({ body, attributes }: LogLine, limitBytes: number): void {
    this.#leftOut += 1;
    this.#context.log.error('Left out a line that is larger than the buffer can ever take', {
      ...attributes,
      bytes: body.length,
      limitBytes,
      leftOut: this.#leftOut,
      remedy: 'raise the max_size of the buffer or lower max_line_bytes',
    });
  }
}
