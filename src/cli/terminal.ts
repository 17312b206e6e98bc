// How the commands speak: lines to one of two outputs, colour where somebody looks, and numbers as people read them.

export interface Output {
  write(text: string): void;
  readonly isTerminal: boolean;
  /** Written, and not taken by its reader yet. */
  readonly waitingBytes: number;
  /** Aborted when a write found that its reader has gone, as `head` does. What is written from then on is dropped. */
  readonly readerGone: AbortSignal;
}

export interface Terminal {
  /** Results. */
  readonly out: Output;
  /** Errors and logs. */
  readonly err: Output;
}

export type Style = 'bold' | 'dim' | 'red' | 'yellow' | 'green';

const styleCodes: Readonly<Record<Style, readonly [number, number]>> = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  yellow: [33, 39],
  green: [32, 39],
};

/** The text in that style on a terminal, as it is elsewhere. */
export function styled(output: Output, style: Style, text: string): string {
  if (!output.isTerminal) return text;
  const [on, off] = styleCodes[style];
  return `\u001b[${on}m${text}\u001b[${off}m`;
}

const byteUnits = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

/** `12.4 MiB` */
export function bytesText(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < byteUnits.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${byteUnits[unit]}`;
}

/** `1,234,567` */
export function countText(count: number): string {
  return count.toLocaleString('en-US');
}

/** `3 events`, `1 event`. */
export function countOf(count: number, noun: string): string {
  return `${countText(count)} ${noun}${count === 1 ? '' : 's'}`;
}

const spans = [
  { ms: 86_400_000, unit: 'd' },
  { ms: 3_600_000, unit: 'h' },
  { ms: 60_000, unit: 'min' },
  { ms: 1_000, unit: 's' },
] as const;

/** `4 min 12 s`: the two largest units. */
export function durationText(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))} ms`;
  const first = spans.findIndex((span) => ms >= span.ms);
  const parts: string[] = [];
  let rest = ms;
  for (const { ms: span, unit } of spans.slice(first, first + 2)) {
    const count = Math.floor(rest / span);
    rest -= count * span;
    if (count > 0) parts.push(`${count} ${unit}`);
  }
  return parts.join(' ');
}

export function timeText(ms: number): string {
  return new Date(ms).toISOString();
}

/** Rows as columns, two spaces between them; the last one runs free. */
export function columns(rows: readonly (readonly string[])[], indent = '  '): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [index, cell] of row.entries()) widths[index] = Math.max(widths[index] ?? 0, cell.length);
  }
  return rows
    .map(
      (row) =>
        indent + row.map((cell, index) => cell.padEnd(index === row.length - 1 ? 0 : (widths[index] ?? 0))).join('  '),
    )
    .map((line) => `${line.trimEnd()}\n`)
    .join('');
}
