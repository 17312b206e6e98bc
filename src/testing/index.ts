// `spillway/testing`: a simulated disk, clock and randomness, for tests of code that stands on Spillway's interfaces.
export type { BufferHarness, BufferOptions } from './conformance/buffer-checks.ts';
export { bufferCases } from './conformance/buffer-conformance.ts';
export { type ConformanceCase, type ConformanceTime, realTime, simulatedTime } from './conformance/component-checks.ts';
export { readAll, writeAll } from './conformance/file-checks.ts';
export {
  type FileSystemCase,
  type FileSystemWorld,
  fileSystemCases,
} from './conformance/file-system-conformance.ts';
export { type SinkHarness, sinkCases } from './conformance/sink-conformance.ts';
export { type SourceHarness, sourceCases } from './conformance/source-conformance.ts';
export {
  markerOf,
  markersIn,
  markersOf,
  sampleBatch,
  sampleBatchOf,
  sampleOriginUuid,
  sampleRecord,
  sampleRequest,
} from './otlp-samples.ts';
export {
  type Emission,
  type EmitAnswer,
  type LogLine,
  MemoryLog,
  realWorld,
  type SimulatedWorld,
  simulatedWorld,
  type TestSinkContext,
  type TestSourceContext,
  testSinkContext,
  testSourceContext,
} from './pipeline-contexts.ts';
export {
  type MonitoredBuffer,
  PromiseBroken,
  PromiseMonitor,
  type PromiseMonitorOptions,
} from './promise-monitor.ts';
export { SeededRandom } from './seeded-random.ts';
export { SimDisk, type SimDiskOptions, type Undecided } from './sim-disk.ts';
export type { Fault, FaultChances, FaultRule, IoCall, SimFaults } from './sim-faults.ts';
export { SimFileSystem, SourceChanged } from './sim-file-system.ts';
export { type Latencies, usualLatencies } from './sim-io.ts';
export { type AfterDeath, SimProcess } from './sim-process.ts';
export { type RunOptions, SimClock, SimulationStuck, SimWorld, type SimWorldOptions } from './sim-world.ts';
export { type Assumptions, allAssumptions, type ExactSurvivors, type Survivors } from './survivors.ts';
