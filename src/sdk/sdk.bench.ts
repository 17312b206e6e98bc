// Figures of the exporters: npm run bench -- sdk [--dir path] [--repeat 3] [--write]
// --write puts what was measured into docs/benchmarks.md. What is measured, and how, stands in test/bench/.
import { measureExporterCost } from '../../test/bench/exporter-cost.ts';
import { measureParts } from '../../test/bench/sections.ts';

await measureParts({ cost: measureExporterCost }, { repetitions: 3 });
