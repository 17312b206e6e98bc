// Every error that Spillway raises on purpose: one class a family, one code a cause, one table of codes.
//
// A message is a sentence: what was tried, on what, what was expected and found, what follows, what to do. Programs
// compare `code`, never the text and, across packages, never `instanceof`. docs/errors.md explains each code; a test
// compares it with the table below, both ways. A code is never given a second meaning.

/** All codes with the condition that each one names. */
export const errorCodes = {
  SPILLWAY_USAGE_OPTION: 'an option has a value outside its range',
  SPILLWAY_USAGE_CLOSED: 'the buffer, cursor or handle was used after close',
  SPILLWAY_USAGE_TOO_LARGE: 'a record or batch is larger than this buffer can ever take',
  SPILLWAY_USAGE_RECORD: 'a record is malformed: event count, metadata or payload outside the allowed range',
  SPILLWAY_USAGE_SETTLED: 'a delivery or record was settled a second time',
  SPILLWAY_USAGE_CURSOR: 'a cursor name is malformed, unknown, required or one too many',
  SPILLWAY_USAGE_PRESSURE: 'a plain Observable was faster than the buffer, and the stage was told to end then',
  SPILLWAY_USAGE_PEER: 'an optional package that this part needs is not installed',
  SPILLWAY_USAGE_PLATFORM: 'this operating system or runtime cannot keep the promises',
  SPILLWAY_STORAGE_FULL: 'no room: the buffer has reached maxBytes or the disk is full',
  SPILLWAY_STORAGE_DENIED: 'the operating system refused access',
  SPILLWAY_STORAGE_MISSING: 'a file or directory that should exist does not',
  SPILLWAY_STORAGE_EXISTS: 'a file or directory that should not exist does',
  SPILLWAY_STORAGE_IO: 'the operating system reported a failed read, write or sync',
  SPILLWAY_STORAGE_READ_ONLY: 'the file system is mounted read-only',
  SPILLWAY_STORAGE_LIMIT: 'a limit of the process or system was reached, such as open files',
  SPILLWAY_STORAGE_LOCKED: 'another process, or this one, holds the buffer directory',
  SPILLWAY_STORAGE_LOCK_FOREIGN: 'the file `lock` holds bytes that are not ours',
  SPILLWAY_STORAGE_UNSAFE: 'the buffer directory or a file in it is a symbolic link or writable by the world',
  SPILLWAY_DAMAGE_FRAME: 'bytes of a segment are not the frame that was written there',
  SPILLWAY_DAMAGE_HEADER: 'a segment header is not what was written there',
  SPILLWAY_DAMAGE_LEDGER: 'a ledger slot is not what was written there',
  SPILLWAY_FORMAT_VERSION: 'a file was written by a newer format version',
  SPILLWAY_FORMAT_FEATURE: 'a file uses a feature that this build does not know',
  SPILLWAY_CONFIG_UNREADABLE: 'the config file cannot be read',
  SPILLWAY_CONFIG_INVALID: 'the config has errors; all of them are listed',
  SPILLWAY_CONFIG_OWNER: 'the place that a sink writes to belongs to another buffer or cursor',
  SPILLWAY_PLUGIN_MISSING: 'no plugin is installed for this type',
  SPILLWAY_PLUGIN_INCOMPATIBLE: 'a package is no plugin, or one for another version of the contracts',
  SPILLWAY_PLUGIN_FAILED: 'a plugin threw, or broke its contract',
} as const;

export type ErrorCode = keyof typeof errorCodes;
type CodeOf<Family extends string> = Extract<ErrorCode, `SPILLWAY_${Family}_${string}`>;

type ErrorFields<Code extends ErrorCode> = {
  readonly code: Code;
  readonly message: string;
  readonly cause?: unknown;
};

/** What all families share: a stable `code`, a sentence as `message`, the `cause` below it. */
export abstract class SpillwayError<Code extends ErrorCode = ErrorCode> extends Error {
  readonly code: Code;

  constructor(fields: ErrorFields<Code>) {
    super(fields.message, fields.cause === undefined ? undefined : { cause: fields.cause });
    this.code = fields.code;
  }
}

/** The API was misused. The calling code acts. */
export class UsageError extends SpillwayError<CodeOf<'USAGE'>> {
  override readonly name = 'UsageError';
}

/** What the operating system's many error numbers mean to us. */
export type StorageErrorKind =
  | 'full'
  | 'denied'
  | 'missing'
  | 'exists'
  | 'io'
  | 'read_only'
  | 'limit'
  | 'locked'
  | 'lock_foreign'
  | 'unsafe';

const codeOfKind = {
  full: 'SPILLWAY_STORAGE_FULL',
  denied: 'SPILLWAY_STORAGE_DENIED',
  missing: 'SPILLWAY_STORAGE_MISSING',
  exists: 'SPILLWAY_STORAGE_EXISTS',
  io: 'SPILLWAY_STORAGE_IO',
  read_only: 'SPILLWAY_STORAGE_READ_ONLY',
  limit: 'SPILLWAY_STORAGE_LIMIT',
  locked: 'SPILLWAY_STORAGE_LOCKED',
  lock_foreign: 'SPILLWAY_STORAGE_LOCK_FOREIGN',
  unsafe: 'SPILLWAY_STORAGE_UNSAFE',
} as const satisfies Record<StorageErrorKind, CodeOf<'STORAGE'>>;

/** The operating system said no. The operator acts. */
export class StorageError extends SpillwayError<CodeOf<'STORAGE'>> {
  override readonly name = 'StorageError';
  readonly kind: StorageErrorKind;
  /** What was tried, for example `write` or `sync directory`. */
  readonly operation: string;
  readonly path: string;

  constructor(fields: {
    readonly kind: StorageErrorKind;
    readonly operation: string;
    readonly path: string;
    readonly message: string;
    readonly cause?: unknown;
  }) {
    super({ code: codeOfKind[fields.kind], message: fields.message, cause: fields.cause });
    this.kind = fields.kind;
    this.operation = fields.operation;
    this.path = fields.path;
  }
}

/** Bytes on disk are not what was written. Counted and reported; never a reason to refuse the rest. */
export class DamageError extends SpillwayError<CodeOf<'DAMAGE'>> {
  override readonly name = 'DamageError';
  readonly path: string;
  /** Byte offset in the file at which the damage begins. */
  readonly offset: number;
  /** Damaged bytes. */
  readonly byteLength: number;

  constructor(fields: {
    readonly code: CodeOf<'DAMAGE'>;
    readonly path: string;
    readonly offset: number;
    readonly byteLength: number;
    readonly message: string;
    readonly cause?: unknown;
  }) {
    super({ code: fields.code, message: fields.message, cause: fields.cause });
    this.path = fields.path;
    this.offset = fields.offset;
    this.byteLength = fields.byteLength;
  }
}

/** A version or feature that this build cannot read. Never repaired, cut or freed; the operator upgrades. */
export class FormatError extends SpillwayError<CodeOf<'FORMAT'>> {
  override readonly name = 'FormatError';
  readonly path: string;

  constructor(fields: {
    readonly code: CodeOf<'FORMAT'>;
    readonly path: string;
    readonly message: string;
    readonly cause?: unknown;
  }) {
    super({ code: fields.code, message: fields.message, cause: fields.cause });
    this.path = fields.path;
  }
}

/** One thing that is wrong with a config, and where. */
export interface ConfigIssue {
  readonly file: string;
  /** From 1. Undefined where the issue has no place in the text. */
  readonly line: number | undefined;
  readonly column: number | undefined;
  /** The keys that lead there: `sinks.archive.buffer.max_size`. */
  readonly path: string;
  /** What was expected and what was found, and a suggestion. Never a secret. */
  readonly message: string;
}

/** The config is wrong. The operator acts. Holds all issues at once. */
export class ConfigError extends SpillwayError<CodeOf<'CONFIG'>> {
  override readonly name = 'ConfigError';
  readonly issues: readonly ConfigIssue[];

  constructor(fields: {
    readonly code: CodeOf<'CONFIG'>;
    readonly message: string;
    readonly issues?: readonly ConfigIssue[];
    readonly cause?: unknown;
  }) {
    super({ code: fields.code, message: fields.message, cause: fields.cause });
    this.issues = fields.issues ?? [];
  }
}

/** A plugin is missing, incompatible, or broke its contract. Its owner acts. */
export class PluginError extends SpillwayError<CodeOf<'PLUGIN'>> {
  override readonly name = 'PluginError';
  readonly plugin: string;

  constructor(fields: {
    readonly code: CodeOf<'PLUGIN'>;
    readonly plugin: string;
    readonly message: string;
    readonly cause?: unknown;
  }) {
    super({ code: fields.code, message: fields.message, cause: fields.cause });
    this.plugin = fields.plugin;
  }
}

/** Whether `error` is a {@link StorageError} of this kind, also when it comes from another copy of this package. */
export function isStorageError(error: unknown, kind: StorageErrorKind): error is StorageError {
  return error instanceof Error && 'code' in error && error.code === codeOfKind[kind];
}
