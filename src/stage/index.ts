// What `import ... from 'spillway/rxjs'` gives: buffers between Observables. docs/stage.md shows how to use it.

export {
  OrderedFinalizer,
  type ReleasedRun,
  type Settlement,
} from '../engine/ordered-finalizer.ts';
export type { RecordResult } from '../engine/ordered-finalizer-delivery.ts';
export type { RecordInput } from '../engine/writer-records.ts';
export type {
  BufferContract,
  CursorContract,
  DeliveryContract,
  RecordContract,
  StatsContract,
} from './buffer-contract.ts';
export { type DeliveryOptions, deliveries } from './deliveries.ts';
export type { Acceptance, Batch, IntakeTotals, StageDropReason, StageItem, Tally } from './intake.ts';
export { intoBuffer, type StageInput } from './into-buffer.ts';
export type { PressureOptions } from './push-intake.ts';
export {
  type PullStage,
  type PullStageOptions,
  type PushStage,
  type PushStageOptions,
  type StageOptions,
  type StageStats,
  throughBuffer,
} from './through-buffer.ts';
