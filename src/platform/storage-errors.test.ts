import { describe, expect, test } from 'vitest';
import { StorageError } from '../base/errors.ts';
import { storageError, toStorageError } from './storage-errors.ts';

function errno(code: string): Error {
  return Object.assign(new Error(`${code}: made up`), { code });
}

describe('the gate for errors', () => {
  test.each([
    ['ENOSPC', 'full'],
    ['EDQUOT', 'full'],
    ['EACCES', 'denied'],
    ['EPERM', 'denied'],
    ['ENOENT', 'missing'],
    ['EEXIST', 'exists'],
    ['EROFS', 'read_only'],
    ['EMFILE', 'limit'],
    ['ENFILE', 'limit'],
    ['ENOMEM', 'limit'],
    ['ELOOP', 'unsafe'],
    ['EIO', 'io'],
    ['EBADF', 'io'],
    ['EFOOBAR', 'io'],
  ])('%s is of kind %s', (code, kind) => {
    expect(toStorageError(errno(code), 'write', '/data/a').kind).toBe(kind);
  });

  test.each([new Error('plain'), 'text', undefined, { code: 'ENOSPC' }, Object.assign(new Error('n'), { code: 28 })])(
    'what is no error of the operating system is of kind io: %s',
    (cause) => {
      expect(toStorageError(cause, 'write', '/data/a').kind).toBe('io');
    },
  );

  test('a message says what was tried, on what, what was found, what follows and what to do', () => {
    const cause = errno('ENOSPC');
    const error = toStorageError(cause, 'sync directory', '/data');
    expect(error.message).toBe(
      'Could not sync directory /data: the operating system answered ENOSPC. ' +
        'Nothing was lost, but nothing can be added: free space on this file system or raise the quota.',
    );
    expect(error).toMatchObject({ code: 'SPILLWAY_STORAGE_FULL', operation: 'sync directory', path: '/data', cause });
  });

  test('an error of ours passes unchanged', () => {
    const error = storageError('locked', 'lock', '/data', 'somebody has it');
    expect(error).toBeInstanceOf(StorageError);
    expect(toStorageError(error, 'read', '/elsewhere')).toBe(error);
  });
});
