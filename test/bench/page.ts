// The page docs/benchmarks.md, made from one run.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../tidy/source.ts';
import { forMarkdown, type Section, targetsOf } from './report.ts';

const introduction = `# Benchmarks

Made by \`npm run bench -- engine --write\`; do not edit. \`--dir\` chooses the disk, \`--only\` some of
\`append,commit,cycle,open,memory\`, \`--repeat\` how often everything is measured.

Beside every figure stands what the machine itself could do right before it: rounds of a loop in which each depends on
the one before, plain writes of 1 MiB into a growing file, and 4 KiB appended and synced. Machines that share hardware
drift by a factor of ten; compare figures only where the calibration is alike. Everything is measured in turns (A, B,
C, A, B, C) and the best repetition counts, unless a section says otherwise. One process, one thread, one disk;
payloads are made before the clock starts, and every record that is read is looked at.`;

export function writePage(machine: readonly (readonly [string, string])[], sections: readonly Section[]): void {
  const about: Section = {
    title: 'Machine',
    notes: [],
    header: ['what', 'which'],
    rows: machine,
    targets: [],
  };
  const pages = [about, targetsOf(sections), ...sections].map((section) => forMarkdown(section));
  writeFileSync(join(root, 'docs', 'benchmarks.md'), `${[introduction, ...pages].join('\n\n')}\n`);
}
