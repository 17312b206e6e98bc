// What the quickstart shows: a few lines that are rewritten in place on a terminal, one line a second elsewhere.
import type { WriteStream } from 'node:tty';

/** Everything that is on the screen at one moment. */
export interface Picture {
  readonly inPerSecond: number;
  readonly outPerSecond: number;
  readonly usedBytes: number;
  readonly maxBytes: number;
  readonly waiting: number;
  readonly oldestAgeMs: number | undefined;
  readonly sink: string;
  readonly pipeline: string;
  readonly sent: number;
  readonly received: number;
  readonly repeated: number;
  readonly outages: number;
  readonly kills: number;
  /** What happens by itself next, or what may be done. */
  readonly hint: string;
}

const barWidth = 32;

export class Screen {
  readonly #out: WriteStream;
  readonly #isLive: boolean;
  readonly #hasColor: boolean;
  #lines = 0;

  constructor(out: WriteStream, environment: NodeJS.ProcessEnv) {
    this.#out = out;
    this.#isLive = out.isTTY === true && environment['TERM'] !== 'dumb';
    this.#hasColor = this.#isLive && (environment['NO_COLOR'] ?? '') === '';
  }

  get isLive(): boolean {
    return this.#isLive;
  }

  say(text: string): void {
    this.#out.write(`${text}\n`);
    this.#lines = 0;
  }

  show(picture: Picture): void {
    if (!this.#isLive) {
      this.#out.write(`${line(picture)}\n`);
      return;
    }
    const rows = this.#rows(picture);
    const up = this.#lines === 0 ? '' : `\u001b[${this.#lines}A`;
    this.#out.write(`${up}${rows.map((row) => `\u001b[2K${row}\n`).join('')}`);
    this.#lines = rows.length;
  }

  #rows(picture: Picture): string[] {
    const { inPerSecond, outPerSecond, usedBytes, maxBytes, waiting, oldestAgeMs, sent, received } = picture;
    const filled = Math.min(barWidth, Math.ceil((usedBytes / maxBytes) * barWidth));
    const bar = `${'█'.repeat(filled)}${this.#paint(2, '░'.repeat(barWidth - filled))}`;
    const age =
      oldestAgeMs === undefined ? 'nothing waits' : `${count(waiting)} wait, the oldest ${seconds(oldestAgeMs)}`;
    const sink = picture.sink === 'running' ? this.#paint(32, 'running') : this.#paint(33, picture.sink);
    const pipeline = picture.pipeline === 'running' ? this.#paint(32, 'running') : this.#paint(31, picture.pipeline);
    return [
      '',
      `  in       ${count(inPerSecond).padStart(8)} /s     pipeline  ${pipeline}`,
      `  out      ${count(outPerSecond).padStart(8)} /s     sink      ${sink}`,
      `  on disk  ${bar} ${mebibytes(usedBytes)} of ${mebibytes(maxBytes)}`,
      `           ${age}`,
      '',
      `  ${counters(picture)}`,
      `  ${this.#paint(2, sent === received ? '' : `${count(sent - received)} are on their way`)}`,
      `  ${this.#paint(2, picture.hint)}`,
    ];
  }

  #paint(code: number, text: string): string {
    return this.#hasColor && text !== '' ? `\u001b[${code}m${text}\u001b[0m` : text;
  }
}

function line(picture: Picture): string {
  const { inPerSecond, outPerSecond, usedBytes, oldestAgeMs, sink, pipeline } = picture;
  const age = oldestAgeMs === undefined ? '0 s' : seconds(oldestAgeMs);
  return (
    `in ${count(inPerSecond)}/s  out ${count(outPerSecond)}/s  disk ${mebibytes(usedBytes)}  oldest ${age}  ` +
    `pipeline ${pipeline}  sink ${sink}  ${counters(picture)}`
  );
}

function counters({ sent, received, repeated, outages, kills }: Picture): string {
  const events = `sent ${count(sent)}  received ${count(received)}  repeated ${count(repeated)}`;
  return `${events}  outages ${outages}  kills ${kills}`;
}

export function count(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

function mebibytes(bytes: number): string {
  return `${(bytes / 1024 ** 2).toFixed(1)} MiB`;
}

function seconds(ms: number): string {
  return `${Math.max(0, ms / 1000).toFixed(1)} s`;
}
