import { ErrorReply } from '@redis/client';
import { Overdue } from 'spillway/plugin';
import { describe, expect, it } from 'vitest';
import { answerFor, causeOfAbort, isStale, lossOf, movedTo } from './failure.ts';

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
    ['CROSSSLOT', 'blocked'],
    ['ERR This instance has cluster support disabled', 'blocked'],
    ['ERR invalid password', 'blocked'],
    ['ERR Client sent AUTH, but no password is set', 'blocked'],
    ['ERR AUTH <password> called without any password configured for the default user.', 'blocked'],
    ["ERR wrong number of arguments for 'auth' command", 'blocked'],
    ['ERR DB index is out of range', 'blocked'],
    ['ERR SELECT is not allowed in cluster mode', 'blocked'],
    ["ERR unknown command 'XADD'", 'blocked'],
    ['ERR unknown command `XADD`', 'blocked'],
    ["ERR unknown subcommand 'SLOTS'. Try CLUSTER HELP.", 'blocked'],
    ['ERR max number of clients reached', 'retryable'],
    ['ERR Protocol error: invalid bulk length', 'too_large'],
    ['EXECABORT Transaction discarded because of: OOM command not allowed', 'retryable'],
    ['EXECABORT Transaction discarded because of: NOPERM no', 'blocked'],
  ])('%s is %s', (message, kind) => {
    expect(answerFor(new ErrorReply(message))).toMatchObject({ kind, reason: expect.stringContaining(message) });
  });

  it.each(["'AUTH', with args beginning with: 'bob' 'sesame' ", '`AUTH`, with args beginning with: `bob`, `sesame`, '])(
    'does not repeat what the server was told: %s',
    (text) => {
      const answer = answerFor(new ErrorReply(`ERR unknown command ${text}`));
      expect(answer).toMatchObject({ kind: 'blocked', reason: expect.stringMatching(/^ERR unknown command .AUTH.$/) });
    },
  );

  it('of a transaction is what was said of one of its commands', () => {
    const oom = new ErrorReply('OOM command not allowed');
    expect(causeOfAbort(['OK', 'QUEUED', oom, exec])).toBe(oom);
    expect(causeOfAbort(['OK', exec])).toBe(exec);
    expect(causeOfAbort(['OK', 'QUEUED'])).toBeUndefined();
  });

  it('tells whether another connection could do better', () => {
    expect(isStale(new ErrorReply('READONLY You can not write against a read only replica.'))).toBe(true);
    expect(isStale(new ErrorReply('EXECABORT Transaction discarded because of: CLUSTERDOWN no'))).toBe(true);
    expect(isStale(new ErrorReply('OOM command not allowed'))).toBe(false);
  });
});

describe('no word from the server', () => {
  it.each([
    ['ECONNREFUSED', 'retryable'],
    ['EAI_AGAIN', 'retryable'],
    ['ENOTFOUND', 'blocked'],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', 'blocked'],
    ['of a new kind', 'retryable'],
  ])('because of %s is %s, and says whose it is', (code, kind) => {
    const loss = lossOf(Object.assign(new Error('no'), { code }), 'redis-1:6379', 'connecting');
    expect(answerFor(loss)).toEqual({ kind, reason: expect.stringMatching(/^redis-1:6379: /) });
  });

  it('any more says what it was lost at', () => {
    const loss = lossOf(Object.assign(new Error('no'), { code: 'ECONNRESET' }), 'redis-1:6379', 'waiting for EXEC');
    const reason = expect.stringMatching(/^connection lost while waiting for EXEC: redis-1:6379: /);
    expect(answerFor(loss)).toEqual({ kind: 'retryable', reason });
  });

  it('in time is retryable', () => {
    const loss = lossOf(new Overdue('no answer in time while connecting'), 'redis-1:6379', 'connecting');
    expect(answerFor(loss)).toEqual({ kind: 'retryable', reason: 'redis-1:6379: no answer in time while connecting' });
  });
});

describe('a node that sends to another one', () => {
  it.each([
    ['MOVED 3999 127.0.0.1:6381', '127.0.0.1:6381'],
    ['MOVED 3999 :6381', ':6381'],
    ['MOVED 3999 2001:db8::7:6381', '2001:db8::7:6381'],
    ['EXECABORT Transaction discarded because of: MOVED 1 a:2', 'a:2'],
    ['ASK 3999 127.0.0.1:6381', undefined],
    ['MOVED', undefined],
    ['ERR MOVED 1', undefined],
  ])('%s names %s', (message, found) => {
    expect(movedTo(new ErrorReply(message))).toBe(found);
  });

  it('is no server error', () => {
    expect(movedTo(new Error('MOVED 1 a:2'))).toBeUndefined();
  });
});

it('lets a bug through', () => {
  const bug = new TypeError('undefined is not a function');
  expect(() => answerFor(bug)).toThrow(bug);
});
