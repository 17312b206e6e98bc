// The page docs/benchmarks.md. A run replaces the sections that it measured and leaves the others: on a shared machine
// the quiet minutes come one at a time.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../tidy/source.ts';
import { forMarkdown, type Section } from './report.ts';

const introduction = `# Benchmarks

Made by \`npm run bench -- engine --write\`, and so for \`pipeline\` and \`sdk\`; do not edit. \`--dir\` chooses the
disk, \`--repeat\` how often everything is measured, \`--only\` some of \`append,commit,cycle,open,memory\` of the
engine, the library by itself, or of \`throughput,latency\` of the pipeline, a process with a source and a sink; the
SDK's exporters have one part.

Beside every figure stands what the machine itself could do right before it: rounds of a loop in which each depends on
the one before, plain writes of 1 MiB into a growing file, and 4 KiB appended and synced. Machines that share hardware
drift by a factor of ten; compare figures only where the calibration is alike. Everything is measured in turns (A, B,
C, A, B, C) and the best repetition counts, unless a section says otherwise. Payloads are made before the clock starts.
Figures of the engine are of one process, one thread, one disk, and every record that is read is looked at.`;

const titles = [
  ...['Append', 'Group commit', 'Whole cycle', 'Open', 'Memory'],
  ...['Pipeline throughput', 'Pipeline latency'],
  'Exporters for the OpenTelemetry SDK',
];

/** Writes the sections, each under the machine that it was measured on. */
export function writePage(machine: readonly (readonly [string, string])[], measured: readonly Section[]): void {
  const path = join(root, 'docs', 'benchmarks.md');
  const about = machine.map(([what, which]) => `${what} ${which}`).join('; ');
  const sections = existsSync(path) ? sectionsOf(readFileSync(path, 'utf8')) : new Map<string, string>();
  for (const section of measured) {
    const notes = [...section.notes, `Measured on: ${about}.`];
    sections.set(section.title, forMarkdown({ ...section, notes }));
  }
  const texts = titles.map((title) => sections.get(title)).filter((text) => text !== undefined);
  writeFileSync(path, `${[introduction, ...texts].join('\n\n')}\n`);
}

function sectionsOf(page: string): Map<string, string> {
  const [, ...texts] = page.split(/^## /m);
  return new Map(texts.map((text) => [text.slice(0, text.indexOf('\n')), `## ${text.trimEnd()}`]));
}
