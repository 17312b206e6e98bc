// Measures the parts of a benchmark one after the other, and shows each as soon as it is there.
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describeMachine } from './machine.ts';
import { parseBenchOptions } from './options.ts';
import { writePage } from './page.ts';
import type { Bench } from './repetitions.ts';
import { forTerminal, type Section } from './report.ts';

export type Parts = Readonly<Record<string, (bench: Bench) => Promise<Section>>>;

/** Takes its options from the command line. */
export async function measureParts(measure: Parts, usual: { readonly repetitions: number }): Promise<void> {
  const options = parseBenchOptions(process.argv.slice(2), { parts: Object.keys(measure), ...usual });
  const scratch = mkdtempSync(join(options.directory, 'spillway-bench-'));
  try {
    const machine = describeMachine(scratch);
    for (const [name, value] of machine) print(`${name.padEnd(12)}${value}`);
    const progress = (line: string): void => {
      if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${line}`);
    };
    const sections: Section[] = [];
    for (const part of options.parts) {
      const section = await measure[part]?.({ options, scratch, progress });
      if (section === undefined) continue;
      progress('');
      sections.push(section);
      print(forTerminal(section));
    }
    if (options.write) writePage(machine, sections);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
