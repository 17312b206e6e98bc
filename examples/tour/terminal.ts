// What the tour shows: a line that is rewritten in place on a terminal and printed once a second elsewhere, and a
// table.
import type { WriteStream } from 'node:tty';

const plainIntervalMs = 1_000;

export class Terminal {
  readonly #out: WriteStream;
  readonly #isTerminal: boolean;
  readonly #hasColor: boolean;
  #isLineOpen = false;
  #printedAt = Number.NEGATIVE_INFINITY;

  constructor(out: WriteStream, environment: NodeJS.ProcessEnv) {
    this.#out = out;
    this.#isTerminal = out.isTTY === true && environment['TERM'] !== 'dumb';
    this.#hasColor = this.#isTerminal && (environment['NO_COLOR'] ?? '') === '';
  }

  bold(text: string): string {
    return this.#paint(1, 22, text);
  }

  faint(text: string): string {
    return this.#paint(2, 22, text);
  }

  good(text: string): string {
    return this.#paint(32, 39, text);
  }

  bad(text: string): string {
    return this.#paint(31, 39, text);
  }

  print(text = ''): void {
    this.endProgress();
    this.#out.write(`${text}\n`);
  }

  /** A line that says how far something is. */
  progress(text: string): void {
    if (this.#isTerminal) {
      const columns = this.#out.columns ?? 80;
      this.#out.write(`\r\u001b[2K${text.slice(0, columns - 1)}`);
      this.#isLineOpen = true;
      return;
    }
    const now = performance.now();
    if (now < this.#printedAt + plainIntervalMs) return;
    this.#printedAt = now;
    this.#out.write(`${text}\n`);
  }

  endProgress(): void {
    if (this.#isLineOpen) this.#out.write('\n');
    this.#isLineOpen = false;
  }

  /** Names to the left, figures right-aligned, remarks behind. */
  table(rows: readonly { readonly name: string; readonly value: string; readonly remark?: string }[]): void {
    const nameWidth = Math.max(...rows.map(({ name }) => name.length));
    const valueWidth = Math.max(...rows.map(({ value }) => value.length));
    for (const { name, value, remark = '' } of rows) {
      const line = `  ${name.padEnd(nameWidth)}  ${this.bold(value.padStart(valueWidth))}  ${this.faint(remark)}`;
      this.print(line.trimEnd());
    }
  }

  #paint(on: number, off: number, text: string): string {
    return this.#hasColor && text !== '' ? `\u001b[${on}m${text}\u001b[${off}m` : text;
  }
}

export function count(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

export function mebibytes(bytes: number): string {
  return `${(bytes / 1024 ** 2).toFixed(1)} MiB`;
}

export function milliseconds(value: number): string {
  return `${value < 10 ? value.toFixed(2) : value.toFixed(0)} ms`;
}
