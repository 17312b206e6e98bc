// Figures of the disk buffer: npm run bench -- engine [--only append,commit] [--dir path] [--repeat 5] [--write]
// --write puts what was measured into docs/benchmarks.md. What is measured, and how, stands in test/bench/.
import { measureAppend } from '../../test/bench/append.ts';
import { measureCommit } from '../../test/bench/commit.ts';
import { measureCycle } from '../../test/bench/cycle.ts';
import { measureMemory } from '../../test/bench/memory.ts';
import { measureOpening } from '../../test/bench/opening.ts';
import { measureParts } from '../../test/bench/sections.ts';

const measure = {
  append: measureAppend,
  commit: measureCommit,
  cycle: measureCycle,
  open: measureOpening,
  memory: measureMemory,
};

await measureParts(measure, { repetitions: 5 });
