// What goes wrong on a simulated disk, by rule ("the third sync of this file fails") or by draw ("one read in a
// thousand is short"), and the count of calls that both are told by.
//
// A failed call reports an error; whether it had an effect is for the file system to draw, because on real disks a
// failed write may have written a part.
import type { StorageErrorKind } from '../base/errors.ts';
import type { StorageOperation } from '../platform/storage-errors.ts';
import type { SeededRandom } from './seeded-random.ts';

/** One call that a process made, in the order of the calls. */
export type IoCall = {
  /** Counts all calls on this disk from 1. */
  readonly number: number;
  readonly operation: StorageOperation;
  readonly path: string;
  /** For reads, writes and truncates. */
  readonly offset: number;
  readonly byteLength: number;
  readonly process: string;
  /** How it ended; undefined while it has not. An error stands with the operating system's word for it. */
  outcome: 'done' | `failed: ${string}` | 'never' | undefined;
};

/** The operating system's word for an error, or the kind of {@link StorageError} it shall become. */
export type Fault =
  | 'EIO'
  | 'ENOSPC'
  | 'EDQUOT'
  | 'EACCES'
  | 'EPERM'
  | 'EROFS'
  | 'EMFILE'
  | 'ENFILE'
  | 'ENOMEM'
  | 'ENOENT'
  | 'EEXIST'
  | 'ELOOP'
  | Exclude<StorageErrorKind, 'locked' | 'lock_foreign'>;

export type FaultRule = {
  readonly fault: Fault;
  /** Default: every operation. */
  readonly operation?: StorageOperation | readonly StorageOperation[];
  /** A path, its end (`.seg`), or an expression. Default: every path. */
  readonly path?: string | RegExp;
  /** How many matching calls pass before the first one fails. Default 0. */
  readonly skip?: number;
  /** How many fail. Default: all from then on. */
  readonly times?: number;
  /** Each matching call fails with this probability only. Default 1. */
  readonly chance?: number;
};

/** Probabilities per call, all 0 unless set. */
export type FaultChances = {
  readonly readError?: number;
  readonly shortRead?: number;
  readonly writeError?: number;
  readonly shortWrite?: number;
  readonly noSpace?: number;
  readonly syncError?: number;
  readonly syncDirectoryError?: number;
  /** Opening, creating, renaming, removing, listing and the like. */
  readonly nameError?: number;
  /** Takes a hundred times as long. */
  readonly slow?: number;
};

/** The operating system's word for each kind that a call can be told to fail with. */
const errnoOfKind: Readonly<Record<string, string>> = {
  full: 'ENOSPC',
  denied: 'EACCES',
  missing: 'ENOENT',
  exists: 'EEXIST',
  io: 'EIO',
  read_only: 'EROFS',
  limit: 'EMFILE',
  unsafe: 'ELOOP',
};

const takesSpace: ReadonlySet<StorageOperation> = new Set(['create', 'make directory', 'write', 'truncate']);

type ArmedRule = { readonly rule: FaultRule; seen: number; failed: number };

export class SimFaults {
  /** Change at any time. */
  chances: FaultChances = {};
  readonly #draws: SeededRandom;
  readonly #armed = new Set<ArmedRule>();

  constructor(draws: SeededRandom) {
    this.#draws = draws;
  }

  /** Puts a rule into force. Returns a function that lifts it. */
  inject(rule: FaultRule): () => void {
    const armed: ArmedRule = { rule, seen: 0, failed: 0 };
    this.#armed.add(armed);
    return () => {
      this.#armed.delete(armed);
    };
  }

  /** Lifts every rule and sets every probability to 0. */
  clear(): void {
    this.#armed.clear();
    this.chances = {};
  }

  /** The error this call ends with, as the operating system would name it. */
  errnoFor(call: IoCall): string | undefined {
    let errno: string | undefined;
    for (const armed of this.#armed) {
      if (!matches(armed.rule, call)) continue;
      armed.seen += 1;
      if (armed.seen <= (armed.rule.skip ?? 0) || armed.failed >= (armed.rule.times ?? Number.POSITIVE_INFINITY))
        continue;
      if (armed.rule.chance !== undefined && !this.#draws.chance(armed.rule.chance)) continue;
      armed.failed += 1;
      errno ??= errnoOfFault(armed.rule.fault);
    }
    return errno ?? this.#drawnErrno(call.operation);
  }

  /** How many of the bytes asked for a read or write handles: all of them, or fewer, at least one. */
  transferLength(operation: 'read' | 'write', byteLength: number): number {
    const probability = operation === 'read' ? this.chances.shortRead : this.chances.shortWrite;
    if (!this.#happens(probability) || byteLength <= 1) return byteLength;
    return this.#draws.between(1, byteLength - 1);
  }

  isSlow(): boolean {
    return this.#happens(this.chances.slow);
  }

  #drawnErrno(operation: StorageOperation): string | undefined {
    if (takesSpace.has(operation) && this.#happens(this.chances.noSpace)) return 'ENOSPC';
    return this.#happens(this.#errorChance(operation)) ? 'EIO' : undefined;
  }

  #errorChance(operation: StorageOperation): number | undefined {
    switch (operation) {
      case 'read':
        return this.chances.readError;
      case 'write':
      case 'truncate':
        return this.chances.writeError;
      case 'sync':
        return this.chances.syncError;
      case 'sync directory':
        return this.chances.syncDirectoryError;
      case 'open':
      case 'create':
      case 'measure':
      case 'list':
      case 'inspect':
      case 'resolve':
      case 'make directory':
      case 'rename':
      case 'remove':
      case 'remove directory':
        return this.chances.nameError;
      case 'close':
      case 'lock':
      case 'unlock':
        return undefined;
    }
  }

  #happens(probability: number | undefined): boolean {
    return probability !== undefined && probability > 0 && this.#draws.chance(probability);
  }
}

/** The operating system's word for a fault. */
export function errnoOfFault(fault: Fault): string {
  return errnoOfKind[fault] ?? fault;
}

function matches(rule: FaultRule, call: IoCall): boolean {
  const { operation, path } = rule;
  if (typeof operation === 'string' && operation !== call.operation) return false;
  if (typeof operation === 'object' && !operation.includes(call.operation)) return false;
  if (typeof path === 'string') return call.path.endsWith(path);
  return path === undefined || path.test(call.path);
}
