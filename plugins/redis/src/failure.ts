// What a server that says no, or says nothing, means for the batch: the table from Redis's errors to a sink's answers.
//
// When in doubt a batch comes again: an unknown error is retryable, so that nothing leaves the disk because of it.
import { ErrorReply } from '@redis/client';
import type { SinkAnswer } from 'spillway/plugin';

/** The connection was lost, could not be made, or was given up because no answer came. */
export class ConnectionLost extends Error {
  override readonly name = 'ConnectionLost';
}

type Failure = Extract<SinkAnswer, { readonly kind: 'retryable' | 'blocked' | 'too_large' }>;

/** By the first word of the server's answer. */
const kindOfWord: Readonly<Record<string, Failure['kind']>> = {
  READONLY: 'retryable', // A replica now; a new connection finds the new master.
  OOM: 'retryable',
  LOADING: 'retryable',
  BUSY: 'retryable',
  CLUSTERDOWN: 'retryable',
  MASTERDOWN: 'retryable',
  TRYAGAIN: 'retryable',
  NOREPLICAS: 'retryable',
  MISCONF: 'retryable', // It cannot write its snapshot: the disk is full, most of the time.
  NOAUTH: 'blocked',
  WRONGPASS: 'blocked',
  NOPERM: 'blocked',
  WRONGTYPE: 'blocked',
  DENIED: 'blocked', // Protected mode.
  MOVED: 'blocked', // A cluster: the stream lives on another node.
  ASK: 'retryable',
};

/** Answers after which the connection is of no more use: the next one may reach another server. */
const stale = new Set(['READONLY', 'MASTERDOWN', 'MOVED', 'NOAUTH', 'LOADING']);

function firstWord(message: string): string {
  return /^[A-Z]+/.exec(message)?.[0] ?? '';
}

/** Whether the connection that gave this answer should be replaced. */
export function isStale(reply: ErrorReply): boolean {
  return stale.has(firstWord(reply.message)) || /Protocol error/.test(reply.message);
}

/** An EXEC says no more than that one of its commands was refused; the refusal itself is the cause. */
export function causeOfAbort(replies: readonly unknown[]): ErrorReply | undefined {
  const errors = replies.filter((reply) => reply instanceof ErrorReply);
  return errors.find((error) => !error.message.startsWith('EXECABORT')) ?? errors[0];
}

/** What to answer for the batch. Rethrows what is no failure of the server. */
export function answerFor(error: unknown): Failure {
  if (error instanceof ErrorReply) return answerForReply(error);
  if (error instanceof ConnectionLost) return answerForLoss(error);
  throw error;
}

function answerForReply({ message }: ErrorReply): Failure {
  if (/Protocol error: invalid (?:multi)?bulk length|string exceeds maximum|too large/i.test(message)) {
    return { kind: 'too_large', reason: message };
  }
  if (/invalid password|no password is set/i.test(message)) return { kind: 'blocked', reason: message };
  const [, inner] = /^EXECABORT Transaction discarded because of: (.*)$/s.exec(message) ?? [];
  const word = firstWord(inner ?? message);
  const hint = word === 'MOVED' ? ' (Redis Cluster: give the url of the node that has the stream)' : '';
  return { kind: kindOfWord[word] ?? 'retryable', reason: `${message}${hint}` };
}

/** Errors of the resolver and of TLS that waiting does not cure. */
const blockedCodes = /^(?:ENOTFOUND|ERR_TLS_|ERR_SSL_|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|EPROTO$|EACCES$)/;

function answerForLoss(loss: ConnectionLost): Failure {
  const { cause } = loss;
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  return { kind: blockedCodes.test(code) ? 'blocked' : 'retryable', reason: loss.message };
}
