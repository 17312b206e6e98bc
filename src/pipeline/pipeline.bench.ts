// Figures of a pipeline: npm run bench -- pipeline [--only throughput,latency] [--dir path] [--repeat 3] [--write]
// --write puts what was measured into docs/benchmarks.md. What is measured, and how, stands in test/bench/.
import { measureLatency } from '../../test/bench/pipeline-latency.ts';
import { measureThroughput } from '../../test/bench/pipeline-throughput.ts';
import { measureParts } from '../../test/bench/sections.ts';

await measureParts({ throughput: measureThroughput, latency: measureLatency }, { repetitions: 3 });
