import { describe, expect, it } from 'vitest';
import {
  DamageError,
  type ErrorCode,
  errorCodes,
  FormatError,
  isStorageError,
  SpillwayError,
  StorageError,
  type StorageErrorKind,
  UsageError,
} from './errors.ts';

const storage = (kind: StorageErrorKind, cause?: unknown): StorageError =>
  new StorageError({ kind, operation: 'write', path: '/buffer/7.seg', message: 'Cannot write', cause });

describe('errors', () => {
  it('carry code, message and cause, and know their family', () => {
    const cause = new Error('EIO');
    const errors = [
      new UsageError({ code: 'SPILLWAY_USAGE_CLOSED', message: 'closed', cause }),
      storage('io', cause),
      new DamageError({ code: 'SPILLWAY_DAMAGE_FRAME', path: 'p', offset: 1, byteLength: 2, message: 'torn', cause }),
      new FormatError({ code: 'SPILLWAY_FORMAT_VERSION', path: 'p', message: 'newer', cause }),
    ];
    expect(errors.map((error) => error.name)).toEqual(['UsageError', 'StorageError', 'DamageError', 'FormatError']);
    for (const error of errors) {
      expect(error).toBeInstanceOf(SpillwayError);
      expect(error).toBeInstanceOf(Error);
      expect(error.cause).toBe(cause);
      expect(Object.keys(errorCodes)).toContain(error.code);
    }
  });

  it('have no cause if none was given', () => {
    expect('cause' in new UsageError({ code: 'SPILLWAY_USAGE_CLOSED', message: 'closed' })).toBe(false);
  });

  it('give every kind of storage error its own code', () => {
    const kinds: Record<StorageErrorKind, ErrorCode> = {
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
    };
    for (const [kind, code] of Object.entries(kinds) as [StorageErrorKind, ErrorCode][]) {
      expect(storage(kind)).toMatchObject({ kind, code, operation: 'write', path: '/buffer/7.seg' });
    }
    const ofTable = Object.keys(errorCodes).filter((code) => code.startsWith('SPILLWAY_STORAGE_'));
    expect(Object.values(kinds).sort()).toEqual(ofTable.sort());
  });

  it('are recognised by code, also from another copy of the package', () => {
    const foreign = Object.assign(new Error('Cannot write'), { code: 'SPILLWAY_STORAGE_FULL' });
    expect(isStorageError(storage('full'), 'full')).toBe(true);
    expect(isStorageError(foreign, 'full')).toBe(true);
    expect(isStorageError(storage('io'), 'full')).toBe(false);
    expect(isStorageError(new Error('plain'), 'full')).toBe(false);
    expect(isStorageError({ code: 'SPILLWAY_STORAGE_FULL' }, 'full')).toBe(false);
    expect(isStorageError(undefined, 'full')).toBe(false);
  });

  it('keep places and lengths of damage', () => {
    const error = new DamageError({
      code: 'SPILLWAY_DAMAGE_HEADER',
      path: '/buffer/1.seg',
      offset: 4096,
      byteLength: 120,
      message: 'bad header',
    });
    expect(error).toMatchObject({ path: '/buffer/1.seg', offset: 4096, byteLength: 120 });
  });
});
