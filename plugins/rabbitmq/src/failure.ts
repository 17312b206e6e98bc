// What a server that says no, or says nothing, means for the batch: the table from AMQP's reply codes to a sink's
// answers.
//
// When in doubt a batch comes again: an unknown code is retryable, so that nothing leaves the disk because of it.
import { networkFailure, Overdue, type SinkAnswer } from 'spillway/plugin';
import { CannotConnect, ConnectionLost, OtherProtocol, ServerRefusal } from './amqp/ending.ts';
import { Malformed } from './amqp/wire.ts';

export type Failure = Extract<SinkAnswer, { readonly kind: 'retryable' | 'blocked' | 'too_large' }>;

/** Names and meanings as AMQP 0-9-1 and RabbitMQ have them. */
const kindOfCode: Readonly<Record<number, Failure['kind']>> = {
  311: 'too_large', // CONTENT_TOO_LARGE
  320: 'retryable', // CONNECTION_FORCED: it is stopped, or somebody closed the connection.
  402: 'blocked', // INVALID_PATH: no such virtual host.
  403: 'blocked', // ACCESS_REFUSED: of the login, or of a permission.
  404: 'blocked', // NOT_FOUND
  405: 'blocked', // RESOURCE_LOCKED: another connection has the queue for itself.
  406: 'blocked', // PRECONDITION_FAILED: declared before with other arguments.
  503: 'blocked', // COMMAND_INVALID
  530: 'blocked', // NOT_ALLOWED: the virtual host is missing or forbidden.
  540: 'blocked', // NOT_IMPLEMENTED
};

/** A code that means something else with these words. */
const exceptions: readonly { readonly code: number; readonly words: RegExp; readonly kind: Failure['kind'] }[] = [
  { code: 406, words: /message size .*(?:larger|max)/i, kind: 'too_large' },
  { code: 404, words: /is down or inaccessible/i, kind: 'retryable' }, // The queue is there, but its node is not.
  { code: 530, words: /connection limit/i, kind: 'retryable' },
];

/** What to answer for the batch. `peer` is shown. Rethrows what is no failure of server or network. */
export function answerFor(error: unknown, peer: string): Failure {
  if (error instanceof ServerRefusal) return answerForRefusal(error, peer);
  if (error instanceof CannotConnect) return { kind: 'blocked', reason: error.message };
  if (error instanceof OtherProtocol) return { kind: 'blocked', reason: `${peer}: ${error.message}` };
  if (error instanceof Overdue) return { kind: 'retryable', reason: `${peer}: ${error.message}` };
  const failure = networkFailure(error, peer);
  if (failure !== undefined) return failure;
  if (error instanceof Malformed)
    return { kind: 'retryable', reason: `${peer} sent what is no AMQP: ${error.message}` };
  if (error instanceof ConnectionLost) return { kind: 'retryable', reason: `${peer}: ${error.message}` };
  throw error;
}

function answerForRefusal({ code, message }: ServerRefusal, peer: string): Failure {
  const exception = exceptions.find((found) => found.code === code && found.words.test(message));
  return { kind: exception?.kind ?? kindOfCode[code] ?? 'retryable', reason: `${peer}: ${code} ${message}` };
}
