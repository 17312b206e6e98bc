// What a server that says no, or says nothing, means for the batch: the table from Redis's errors to a sink's answers.
//
// When in doubt a batch comes again: an unknown error is retryable, so that nothing leaves the disk because of it.
import { ErrorReply } from '@redis/client';
import { networkFailure, Overdue, type SinkAnswer } from 'spillway/plugin';

interface LossOptions extends ErrorOptions {
  /** `blocked`: waiting does not help. Default: `retryable`. */
  readonly kind?: 'retryable' | 'blocked';
}

/** The connection was lost, could not be made, or was given up because no answer came. */
export class ConnectionLost extends Error {
  override readonly name = 'ConnectionLost';
  readonly kind: 'retryable' | 'blocked';

  constructor(message: string, { kind = 'retryable', ...options }: LossOptions = {}) {
    super(message, options);
    this.kind = kind;
  }
}

/** What is being done until there is a connection. */
export const connecting = 'connecting';

/** What an error of the client means for whoever waits for an answer. `peer` is where the connection leads. */
export function lossOf(cause: unknown, peer: string, doing: string): ConnectionLost {
  if (cause instanceof ConnectionLost) return cause;
  if (cause instanceof Overdue) return new ConnectionLost(`${peer}: ${cause.message}`, { cause });
  const known = networkFailure(cause, peer);
  const { kind = 'retryable', reason = `${peer}: ${cause instanceof Error ? cause.message : String(cause)}` } =
    known ?? {};
  // What was never there is not lost.
  return new ConnectionLost(doing === connecting ? reason : `connection lost while ${doing}: ${reason}`, {
    cause,
    kind,
  });
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
  MOVED: 'blocked', // A cluster that nobody told us of: where it was, MOVED is followed.
  CROSSSLOT: 'blocked',
  ASK: 'retryable', // The slot is being moved, key by key: lane.ts says why that is waited for.
};

/** Answers after which the connection is of no more use: the next one may reach another server. */
const stale = new Set(['READONLY', 'MASTERDOWN', 'CLUSTERDOWN', 'MOVED', 'NOAUTH', 'LOADING']);

function firstWord(message: string): string {
  return /^[A-Z]+/.exec(message)?.[0] ?? '';
}

/** Whether the connection that gave this answer should be replaced. */
export function isStale(reply: ErrorReply): boolean {
  return stale.has(wordOf(reply.message)) || /Protocol error/.test(reply.message);
}

/** An EXEC says no more than that one of its commands was refused; the refusal itself is the cause. */
export function causeOfAbort(replies: readonly unknown[]): ErrorReply | undefined {
  const errors = replies.filter((reply) => reply instanceof ErrorReply);
  return errors.find((error) => !error.message.startsWith('EXECABORT')) ?? errors[0];
}

/** What to answer for the batch. Rethrows what is no failure of the server. */
export function answerFor(error: unknown): Failure {
  if (error instanceof ErrorReply) return answerForReply(error);
  if (error instanceof ConnectionLost) return { kind: error.kind, reason: error.message };
  throw error;
}

/** What has no word but ERR, and only another config helps against, here or there. */
const errorsToActOn: readonly RegExp[] = [
  /invalid password|no password is set|without any password|arguments for 'auth'/i,
  /DB index|SELECT is not allowed/,
  /unknown (?:sub)?command/i,
];

function answerForReply(reply: ErrorReply): Failure {
  // What a server was told stands behind a command that it does not know: a password, or an event.
  const message = reply.message.replace(/, with args beginning with:.*$/s, '');
  if (/Protocol error: invalid (?:multi)?bulk length|string exceeds maximum|too large/i.test(message)) {
    return { kind: 'too_large', reason: message };
  }
  if (errorsToActOn.some((error) => error.test(message))) return { kind: 'blocked', reason: message };
  if (/cluster support disabled/i.test(message)) {
    return { kind: 'blocked', reason: `${message} (it is no Redis Cluster: leave out cluster: true)` };
  }
  const word = wordOf(message);
  const hint = word === 'MOVED' ? ' (a Redis Cluster: set cluster: true)' : '';
  return { kind: kindOfWord[word] ?? 'retryable', reason: `${message}${hint}` };
}

/** The first word, of the inner error if it is one of EXEC. */
function wordOf(message: string): string {
  const [, inner] = /^EXECABORT Transaction discarded because of: (.*)$/s.exec(message) ?? [];
  return firstWord(inner ?? message);
}

/** Where a node of a cluster says that the slot is now, as it says it: `MOVED 3999 10.0.0.1:6381`. */
export function movedTo(error: unknown): string | undefined {
  if (!(error instanceof ErrorReply)) return undefined;
  return /(?:^|: )MOVED \d+ (\S+)$/.exec(error.message)?.[1];
}
