// What a server that says no, or says nothing, means for the batch: the table from SQLSTATE to a sink's answers.
//
// When in doubt a batch comes again: an unknown error is retryable, so that nothing leaves the disk because of it.
import { networkFailure, Overdue, type SinkAnswer } from 'spillway/plugin';

/** What the server says in an ErrorResponse. */
export class ServerError extends Error {
  override readonly name = 'ServerError';
  /** Five letters and digits; the first two name the class. */
  readonly state: string;

  constructor(state: string, message: string) {
    super(`${message} (${state})`);
    this.state = state;
  }
}

/** The connection was lost or given up: nobody knows what became of what was sent. */
export class ConnectionLost extends Error {
  override readonly name = 'ConnectionLost';
}

/** Somebody has to act: no TLS on the other side, no password where one is asked for, a table of the wrong shape. */
export class NeedsSomebody extends Error {
  override readonly name = 'NeedsSomebody';
}

export type Failure = Extract<SinkAnswer, { readonly kind: 'retryable' | 'blocked' | 'rejected' }>;

/** By the whole state, before its class is looked at. */
const kindOfState: Readonly<Record<string, Failure['kind']>> = {
  P0001: 'rejected', // A trigger that raises an exception refuses what it was given.
  '57P04': 'blocked', // The database was dropped.
};

const kindOfClass: Readonly<Record<string, Failure['kind']>> = {
  '0A': 'blocked', // Not supported: no table, no PostgreSQL.
  '22': 'rejected', // Data that is no value of its column's type.
  '23': 'rejected', // A constraint.
  '28': 'blocked', // Authentication.
  '3D': 'blocked', // No such database.
  '3F': 'blocked', // No such schema.
  '42': 'blocked', // No such table or column, no privilege, another type.
  '44': 'rejected', // The check option of a view.
  '54': 'rejected', // Beyond a limit of the server: too long for an index, nested too deep.
};

/** By state: connections that reached a server which is of no use. The next one may reach another. */
const staleStates = /^(?:08|25006|28|57P|58)/;

/** Whether the connection that got this error can take another statement. */
export function isUsableAfter(error: unknown): boolean {
  return error instanceof ServerError && !staleStates.test(error.state);
}

/** What to answer for the batch. Rethrows what is no failure of server or network. */
export function answerFor(error: unknown, peer: string): Failure {
  if (error instanceof ServerError) {
    const kind = kindOfState[error.state] ?? kindOfClass[error.state.slice(0, 2)] ?? 'retryable';
    return { kind, reason: `${peer}: ${error.message}` };
  }
  if (error instanceof NeedsSomebody) return { kind: 'blocked', reason: `${peer}: ${error.message}` };
  const network = networkFailure(error, peer);
  if (network !== undefined) return network;
  if (error instanceof Overdue || error instanceof ConnectionLost) {
    return { kind: 'retryable', reason: `${peer}: ${error.message}` };
  }
  throw error;
}
