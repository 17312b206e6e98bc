import { ErrorReply } from '@redis/client';
import { describe, expect, it } from 'vitest';
import { answerFor, ConnectionLost, causeOfAbort, isStale } from './failure.ts';

const exec = new ErrorReply('EXECABORT Transaction discarded because of previous errors.');

describe('what the server says', () => {
  it.each([
    ['READONLY', 'retryable'],
    ['OOM', 'retryable'],
    ['LOADING', 'retryable'],
    ['BUSY', 'retryable'],
    ['CLUSTERDOWN', 'retryable'],
    ['MASTERDOWN', 'retryable'],
    ['TRYAGAIN', 'retryable'],
    ['NOREPLICAS', 'retryable'],
    ['MISCONF', 'retryable'],
    ['ASK', 'retryable'],
    ['NOAUTH', 'blocked'],
    ['WRONGPASS', 'blocked'],
    ['NOPERM', 'blocked'],
    ['WRONGTYPE', 'blocked'],
    ['DENIED', 'blocked'],
    ['MOVED', 'blocked'],
    ['ERR invalid password', 'blocked'],
    ['ERR max number of clients reached', 'retryable'],
    ['ERR Protocol error: invalid bulk length', 'too_large'],
    ['EXECABORT Transaction discarded because of: OOM command not allowed', 'retryable'],
    ['EXECABORT Transaction discarded because of: NOPERM no', 'blocked'],
  ])('%s is %s', (message, kind) => {
    expect(answerFor(new ErrorReply(message))).toMatchObject({ kind, reason: expect.stringContaining(message) });
  });

  it('of a transaction is what was said of one of its commands', () => {
    const oom = new ErrorReply('OOM command not allowed');
    expect(causeOfAbort(['OK', 'QUEUED', oom, exec])).toBe(oom);
    expect(causeOfAbort(['OK', exec])).toBe(exec);
    expect(causeOfAbort(['OK', 'QUEUED'])).toBeUndefined();
  });

  it('tells whether another connection could do better', () => {
    expect(isStale(new ErrorReply('READONLY You can not write against a read only replica.'))).toBe(true);
    expect(isStale(new ErrorReply('OOM command not allowed'))).toBe(false);
  });
});

describe('no word from the server', () => {
  it.each([
    ['ECONNREFUSED', 'retryable'],
    ['ECONNRESET', 'retryable'],
    ['EAI_AGAIN', 'retryable'],
    ['ENOTFOUND', 'blocked'],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', 'blocked'],
    ['ERR_TLS_CERT_ALTNAME_INVALID', 'blocked'],
    ['EPROTO', 'blocked'],
  ])('because of %s is %s', (code, kind) => {
    const cause = Object.assign(new Error('no'), { code });
    expect(answerFor(new ConnectionLost('lost', { cause }))).toEqual({ kind, reason: 'lost' });
  });

  it('at all is retryable', () => {
    expect(answerFor(new ConnectionLost('no answer'))).toEqual({ kind: 'retryable', reason: 'no answer' });
  });
});

it('lets a bug through', () => {
  const bug = new TypeError('undefined is not a function');
  expect(() => answerFor(bug)).toThrow(bug);
});
