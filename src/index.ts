// What `import ... from 'spillway'` gives: the disk buffer and what is needed to use it.

export { InvariantViolation } from './base/assert.ts';
export {
  ConfigError,
  type ConfigIssue,
  DamageError,
  type ErrorCode,
  errorCodes,
  FormatError,
  isStorageError,
  PluginError,
  SpillwayError,
  StorageError,
  type StorageErrorKind,
  UsageError,
} from './base/errors.ts';
export { type AppendOptions, DiskBuffer } from './engine/disk-buffer.ts';
export {
  type BufferInspection,
  type InspectedCursor,
  type InspectedSegment,
  type InspectionOptions,
  inspectBuffer,
} from './engine/disk-buffer-inspection.ts';
export type { OpeningReport } from './engine/disk-buffer-opening.ts';
export type { BufferStats, CursorStats } from './engine/disk-buffer-stats.ts';
export {
  type BufferVerification,
  type VerificationOptions,
  type VerifiedSegment,
  verifyBuffer,
} from './engine/disk-buffer-verification.ts';
export type { BufferEvents, EventSource, LogPosition, LossReason } from './engine/events.ts';
export type { Amount, LedgerTotals, RemovalReason } from './engine/ledger-slot.ts';
export type { DiskBufferOptions, Durability, RequiredCursor, WhenFull } from './engine/limits.ts';
export { OrderedFinalizer, type ReleasedRun, type Settlement } from './engine/ordered-finalizer.ts';
export type { Counter, SettlementCounters } from './engine/ordered-finalizer-accounts.ts';
export type { Cursor, ReadOptions } from './engine/ordered-finalizer-cursor.ts';
export type { DeliveredRecord, Delivery, RecordResult } from './engine/ordered-finalizer-delivery.ts';
export type { AppendResult, DropReason, TryAppendResult } from './engine/writer.ts';
export type { RecordInput } from './engine/writer-records.ts';
export type { Clock, Timer } from './platform/clock.ts';
export type { FileHandle, FileSystem } from './platform/file-system.ts';
export type { Random } from './platform/random.ts';
