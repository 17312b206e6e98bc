// What it means for a batch when a server says no, or nothing: the table from errors to a sink's answers.
//
// When in doubt a batch comes again: an unknown error is retryable, so that nothing leaves the disk because of it.
import { networkFailure, Overdue, type SinkAnswer } from 'spillway/plugin';
import { ConnectionLost, ServerRefusal } from './connection.ts';
import { CredentialsError } from './credentials.ts';
import { noSuchStream, StreamError } from './jet-stream.ts';

export type Failure = Extract<SinkAnswer, { readonly kind: 'retryable' | 'blocked' | 'too_large' }>;

/** JetStream's errors by their number. */
const kindOfCode: Readonly<Record<number, Failure['kind']>> = {
  10002: 'retryable', // The account has no resources left.
  10008: 'retryable', // Temporarily unavailable: no leader yet.
  10009: 'retryable',
  10023: 'retryable', // The server has no resources left.
  10047: 'retryable',
  10077: 'retryable', // The stream is full and discards new messages, most of the time.
  10054: 'too_large',
  10097: 'too_large',
  10025: 'blocked', // JSON that the server does not understand: another version.
  10035: 'blocked',
  10039: 'blocked', // JetStream is not enabled.
  10076: 'blocked',
  10027: 'blocked', // The account may have no more streams.
  10052: 'blocked', // The stream cannot be created so.
  10060: 'blocked', // The subject leads to another stream.
  10065: 'blocked', // Its subjects belong to another stream.
  10074: 'blocked', // More replicas than a server alone can have.
  10109: 'blocked', // Sealed.
  10122: 'blocked', // Larger than the account may have.
  [noSuchStream]: 'blocked',
};

const reasonLengthMax = 500;

/** What to answer for the batch. Rethrows what is no failure of the server. */
export function answerFor(error: unknown, peer: string): Failure {
  if (error instanceof StreamError) return answerForStream(error, peer);
  if (error instanceof ServerRefusal) return answerForRefusal(error, peer);
  if (error instanceof CredentialsError) return { kind: 'blocked', reason: error.message };
  if (error instanceof Overdue) return { kind: 'retryable', reason: error.message };
  if (error instanceof ConnectionLost) {
    const failure = networkFailure(error.cause, peer);
    return failure ?? { kind: 'retryable', reason: `${peer}: ${error.message}` };
  }
  throw error;
}

/** What a server says is no longer than anybody reads. */
function shortened(text: string): string {
  return text.length <= reasonLengthMax ? text : `${text.slice(0, reasonLengthMax)}...`;
}

function answerForStream(error: StreamError, peer: string): Failure {
  const { code, status } = error;
  const message = `${peer}: ${shortened(error.message)}`;
  if (code === 10_077 && /message size|too large/i.test(message)) return { kind: 'too_large', reason: message };
  const kind = kindOfCode[code] ?? (status === 401 || status === 403 ? 'blocked' : 'retryable');
  return { kind, reason: code === 0 ? message : `${message} (${code})` };
}

/** `-ERR` has no numbers, only texts. */
function answerForRefusal(error: ServerRefusal, peer: string): Failure {
  const message = shortened(error.message);
  const isLasting = /authoriz|permission|expired|revoked|account|TLS|too old|not allowed/i.test(message);
  const isPassing = /timeout|connections exceeded|slow|stale/i.test(message);
  if (/maximum payload/i.test(message)) return { kind: 'too_large', reason: `${peer}: ${message}` };
  return { kind: isLasting && !isPassing ? 'blocked' : 'retryable', reason: `${peer}: ${message}` };
}

/** Of several servers: waiting helps as long as it may help with one of them. */
export function answerForAll(failures: readonly Failure[]): Failure {
  const reason = failures.map((failure) => failure.reason).join('; ');
  const isRetryable = failures.some(({ kind }) => kind === 'retryable');
  return { kind: isRetryable ? 'retryable' : 'blocked', reason };
}
