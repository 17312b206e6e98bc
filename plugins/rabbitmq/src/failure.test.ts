import { Overdue } from 'spillway/plugin';
import { describe, expect, it } from 'vitest';
import { CannotConnect, ConnectionLost, OtherProtocol, ServerRefusal } from './amqp/ending.ts';
import { Malformed } from './amqp/wire.ts';
import { answerFor } from './failure.ts';

const withCode = (code: string): Error => Object.assign(new Error('no'), { code });

describe('what the server says', () => {
  it.each([
    [311, 'CONTENT_TOO_LARGE', 'too_large'],
    [320, 'CONNECTION_FORCED - shutdown', 'retryable'],
    [402, 'INVALID_PATH', 'blocked'],
    [403, 'ACCESS_REFUSED', 'blocked'],
    [404, "NOT_FOUND - no exchange 'x' in vhost '/'", 'blocked'],
    [404, "NOT_FOUND - home node 'rabbit@a' of durable queue 'q' in vhost '/' is down or inaccessible", 'retryable'],
    [405, 'RESOURCE_LOCKED', 'blocked'],
    [406, "PRECONDITION_FAILED - inequivalent arg 'x-max-length' for queue 'q'", 'blocked'],
    [406, 'PRECONDITION_FAILED - message size 134217729 is larger than configured max size 134217728', 'too_large'],
    [501, 'FRAME_ERROR', 'retryable'],
    [503, 'COMMAND_INVALID', 'blocked'],
    [504, 'CHANNEL_ERROR', 'retryable'],
    [506, 'RESOURCE_ERROR', 'retryable'],
    [530, "NOT_ALLOWED - access to vhost '/' refused for user 'guest'", 'blocked'],
    [530, "NOT_ALLOWED - access to vhost '/' refused for user 'guest': connection limit (1) is reached", 'retryable'],
    [540, 'NOT_IMPLEMENTED', 'blocked'],
    [541, "INTERNAL_ERROR - access to vhost '/' refused for user 'guest': vhost '/' is down", 'retryable'],
    [999, 'of another time', 'retryable'],
  ])('%i %s is %s', (code, text, kind) => {
    expect(answerFor(new ServerRefusal(code, text), 'host:1')).toEqual({ kind, reason: `host:1: ${code} ${text}` });
  });
});

describe('what happens without a word', () => {
  it.each([
    [new ConnectionLost('closed'), 'retryable'],
    [new ConnectionLost('lost', { cause: withCode('ECONNRESET') }), 'retryable'],
    [new ConnectionLost('lost', { cause: withCode('ENOTFOUND') }), 'blocked'],
    [new ConnectionLost('lost', { cause: withCode('DEPTH_ZERO_SELF_SIGNED_CERT') }), 'blocked'],
    [new ConnectionLost('lost', { cause: withCode('ERR_STREAM_DESTROYED') }), 'retryable'],
    [new Overdue('no answer in time'), 'retryable'],
    [new Malformed('a frame'), 'retryable'],
    [new OtherProtocol('1.0'), 'blocked'],
    [new CannotConnect('no file'), 'blocked'],
  ])('%s is %s', (error, kind) => {
    expect(answerFor(error, 'host:1')).toEqual({ kind, reason: expect.any(String) });
  });

  it('what is no failure of server or network is thrown on', () => {
    const bug = new TypeError('a bug');
    expect(() => answerFor(bug, 'host:1')).toThrow(bug);
  });
});
