// Figures as tables: aligned on a terminal, Markdown in docs/benchmarks.md. A section is made once and shown twice.
import type { Calibration } from './calibration.ts';

export type Section = {
  readonly title: string;
  /** How it was measured, in whole sentences. */
  readonly notes: readonly string[];
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
  readonly targets: readonly Target[];
};

/** What was promised for this version, and what was found. */
export type Target = {
  readonly what: string;
  readonly wanted: string;
  readonly found: string;
  readonly holds: boolean;
};

const proseColumnsMax = 120;

export const calibrationHeader: readonly string[] = ['CPU loop M/s', 'raw write MB/s', 'raw fdatasync/s'];

export function calibrationCells({ cpuRounds, rawWrite, rawSyncs }: Calibration): readonly string[] {
  return [figure(cpuRounds), figure(rawWrite), figure(rawSyncs)];
}

/** Three significant digits or whole numbers, grouped: more would be noise. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return '-';
  if (value >= 100) return Math.round(value).toLocaleString('en-US');
  return value.toPrecision(3);
}

type Table = Pick<Section, 'header' | 'rows'>;

function tableOf(targets: readonly Target[]): Table {
  return {
    header: ['target', 'wanted', 'found', 'holds'],
    rows: targets.map(({ what, wanted, found, holds }) => [what, wanted, found, holds ? 'yes' : 'no']),
  };
}

function aligned({ header, rows }: Table): readonly (readonly string[])[] {
  const lines = [header, ...rows];
  const widths = header.map((_title, column) => Math.max(...lines.map((cells) => cells[column]?.length ?? 0)));
  return lines.map((cells) =>
    widths.map((width, column) => {
      const cell = cells[column] ?? '';
      return column === 0 ? cell.padEnd(width) : cell.padStart(width);
    }),
  );
}

export function forTerminal(section: Section): string {
  const lines = tablesOf(section).map((table) =>
    aligned(table)
      .map((cells) => `  ${cells.join('  ')}`.trimEnd())
      .join('\n'),
  );
  return `\n${section.title}\n${lines.join('\n\n')}`;
}

export function forMarkdown(section: Section): string {
  const tables = tablesOf(section).map((table) => {
    const [header = [], ...rows] = aligned(table);
    const rule = header.map((cell, column) =>
      column === 0 ? '-'.repeat(cell.length) : `${'-'.repeat(cell.length - 1)}:`,
    );
    return [header, rule, ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
  });
  return [`## ${section.title}`, ...section.notes.map(wrapped), ...tables].join('\n\n');
}

/** The figures, and below them the targets if there are any. */
function tablesOf(section: Section): readonly Table[] {
  return section.targets.length === 0 ? [section] : [section, tableOf(section.targets)];
}

/** Prose in lines that fit the page. */
function wrapped(text: string): string {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const line = lines.at(-1);
    if (line !== undefined && line.length + 1 + word.length <= proseColumnsMax)
      lines[lines.length - 1] = `${line} ${word}`;
    else lines.push(word);
  }
  return lines.join('\n');
}
