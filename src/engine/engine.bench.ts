// Figures of the disk buffer: npm run bench -- engine [--only append,commit] [--dir path] [--repeat 5] [--write]
// --write puts what was measured into docs/benchmarks.md. What is measured, and how, stands in test/bench/.
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { measureAppend } from '../../test/bench/append.ts';
import { measureCommit } from '../../test/bench/commit.ts';
import { measureCycle } from '../../test/bench/cycle.ts';
import { describeMachine } from '../../test/bench/machine.ts';
import { measureMemory } from '../../test/bench/memory.ts';
import { measureOpening } from '../../test/bench/opening.ts';
import { type Part, parseBenchOptions } from '../../test/bench/options.ts';
import { writePage } from '../../test/bench/page.ts';
import type { Bench } from '../../test/bench/repetitions.ts';
import { forTerminal, type Section } from '../../test/bench/report.ts';

const measure: Record<Part, (bench: Bench) => Promise<Section>> = {
  append: measureAppend,
  commit: measureCommit,
  cycle: measureCycle,
  open: measureOpening,
  memory: measureMemory,
};

const options = parseBenchOptions(process.argv.slice(2));
const scratch = mkdtempSync(join(options.directory, 'spillway-bench-'));
try {
  const machine = describeMachine(scratch);
  for (const [name, value] of machine) console.log(`${name.padEnd(12)}${value}`);
  const progress = (line: string): void => {
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${line}`);
  };
  const sections: Section[] = [];
  for (const part of options.parts) {
    const section = await measure[part]({ options, scratch, progress });
    progress('');
    sections.push(section);
    console.log(forTerminal(section));
  }
  if (options.write) writePage(machine, sections);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
