import { expect, test } from 'vitest';
import { call, callsAtOnce, type FsCallback } from './node-calls.ts';

const subject = { operation: 'read', path: '/data/a' } as const;

function failure(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: made up`), { code });
}

test('a call that a signal interrupted is made again', async () => {
  let attempts = 0;
  const value = await call<string>(subject, (done) => {
    attempts += 1;
    if (attempts < 4) done(failure('EINTR'));
    else done(null, 'value');
  });
  expect({ value, attempts }).toEqual({ value: 'value', attempts: 4 });
});

test('a close that a signal interrupted is not made again: the descriptor is gone', async () => {
  let attempts = 0;
  const closing = call<void>({ operation: 'close', path: '/data/a' }, (done) => {
    attempts += 1;
    done(failure('EINTR'));
  });
  await expect(closing).rejects.toMatchObject({ kind: 'io', operation: 'close' });
  expect(attempts).toBe(1);
});

test('only so many calls are under way at once, and a failed one makes room like any other', async () => {
  const underWay: FsCallback<void>[] = [];
  const calls = Array.from({ length: callsAtOnce + 3 }, () => call<void>(subject, (done) => underWay.push(done)));
  expect(underWay).toHaveLength(callsAtOnce);
  const outcomes = Promise.allSettled(calls);
  underWay.shift()?.(failure('EIO'));
  expect(underWay).toHaveLength(callsAtOnce);
  while (underWay.length > 0) underWay.shift()?.(null);
  expect((await outcomes).map(({ status }) => status)).toEqual([
    'rejected',
    ...Array(callsAtOnce + 2).fill('fulfilled'),
  ]);
});

test('what node:fs refuses outright becomes an error like any other', async () => {
  const refused = call<void>(subject, () => {
    throw new RangeError('out of range');
  });
  await expect(refused).rejects.toMatchObject({ kind: 'io', path: '/data/a' });
});
