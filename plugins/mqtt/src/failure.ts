// What a server that says no, or says nothing, means for the batch: the tables from the reason codes of MQTT to the
// answers of a sink, and the error that carries an answer out of a connection.
//
// When in doubt a batch comes again: an unknown code is retryable, so that nothing leaves the disk because of it.
import { networkFailure, Overdue, type SinkAnswer } from 'spillway/plugin';
import type { ServerProperties } from './property-reader.ts';
import { ProtocolViolation } from './violation.ts';

export type Failure = Extract<SinkAnswer, { readonly reason: string; readonly kind: string }>;
type Kind = Failure['kind'];
type Meaning = readonly [name: string, kind: Kind];

/** The connection is of no more use, or could not be made; `answer` says what that means for the batch. */
export class ConnectionFailed extends Error {
  override readonly name = 'ConnectionFailed';
  readonly answer: Failure;

  constructor(answer: Failure) {
    super(answer.reason);
    this.answer = answer;
  }
}

/** No server has a subscriber for the topic: a success, as far as MQTT goes. */
export const noMatchingSubscribers = 0x10;

/** MQTT 5, in CONNACK, PUBACK and DISCONNECT alike, with what each means for a publisher. */
const meanings: Readonly<Record<number, Meaning>> = {
  128: ['unspecified error', 'retryable'],
  129: ['malformed packet', 'retryable'],
  130: ['protocol error', 'retryable'],
  131: ['implementation specific error', 'retryable'],
  132: ['unsupported protocol version', 'blocked'],
  133: ['client identifier not valid', 'blocked'],
  134: ['bad user name or password', 'blocked'],
  135: ['not authorized', 'blocked'],
  136: ['server unavailable', 'retryable'],
  137: ['server busy', 'retryable'],
  138: ['banned', 'blocked'],
  139: ['server shutting down', 'retryable'],
  140: ['bad authentication method', 'blocked'],
  141: ['keep alive timeout', 'retryable'],
  142: ['session taken over: another client has this client_id', 'blocked'],
  144: ['topic name invalid', 'rejected'],
  145: ['packet identifier in use', 'retryable'],
  147: ['receive maximum exceeded', 'retryable'],
  148: ['topic alias invalid', 'retryable'],
  149: ['packet too large', 'too_large'],
  150: ['message rate too high', 'retryable'],
  151: ['quota exceeded', 'retryable'],
  152: ['administrative action', 'retryable'],
  153: ['payload format invalid', 'rejected'],
  154: ['retain not supported', 'blocked'],
  155: ['QoS not supported', 'blocked'],
  156: ['use another server', 'blocked'],
  157: ['server moved', 'blocked'],
  159: ['connection rate exceeded', 'retryable'],
  160: ['maximum connect time', 'retryable'],
};

/** Return codes of 3.1.1, and of a server of that version that is asked for MQTT 5. */
const returnCodes: Readonly<Record<number, Meaning>> = {
  1: ['unacceptable protocol version: set protocol_version to the one that the server speaks', 'blocked'],
  2: ['client identifier rejected', 'blocked'],
  3: ['server unavailable', 'retryable'],
  4: ['bad user name or password', 'blocked'],
  5: ['not authorized', 'blocked'],
};

export interface Verdict {
  readonly code: number;
  readonly properties: ServerProperties;
}

/** What a CONNACK that is no success means: nothing of a batch was seen, so it cannot be the batch. */
export function connackFailure(verdict: Verdict): Failure {
  const [name, kind] = meaningOf(verdict.code, { ...meanings, ...returnCodes });
  const isAboutBatch = kind === 'rejected' || kind === 'too_large';
  return { kind: isAboutBatch ? 'blocked' : kind, reason: sentence('the server refused to connect', name, verdict) };
}

export function disconnectFailure(verdict: Verdict): Failure {
  const [name, kind] = meaningOf(verdict.code, { ...meanings, 0: ['normal disconnection', 'retryable'] });
  return { kind, reason: sentence('the server ended the connection', name, verdict) };
}

/** Undefined: the server has taken the message. */
export function pubackFailure(verdict: Verdict): Failure | undefined {
  if (verdict.code < 0x80) return undefined;
  const [name, kind] = meaningOf(verdict.code, meanings);
  return { kind, reason: sentence('the server refused a message', name, verdict) };
}

/** What to answer for an error on the way to the server. Rethrows what is none. */
export function answerFor(error: unknown, peer: string): Failure {
  if (error instanceof ConnectionFailed) return error.answer;
  if (error instanceof Overdue) return { kind: 'retryable', reason: `${peer}: ${error.message}` };
  if (error instanceof ProtocolViolation) {
    return { kind: 'retryable', reason: `${peer}: expected an answer in MQTT, found ${error.message}` };
  }
  throw error;
}

/** What an error of the socket means; one that nobody knows comes and goes. */
export function socketFailure(error: unknown, peer: string): Failure {
  const text = error instanceof Error ? error.message : String(error);
  return networkFailure(error, peer) ?? { kind: 'retryable', reason: `${peer}: ${text}` };
}

const severities: readonly Kind[] = ['blocked', 'retryable', 'too_large', 'rejected'];

/**
 * The one that counts for the whole batch. What may still get through goes before what never will: taking the batch
 * apart to find that one would need answers for the others.
 */
export function worseOf(a: Failure | undefined, b: Failure): Failure {
  return a === undefined || severities.indexOf(b.kind) < severities.indexOf(a.kind) ? b : a;
}

function meaningOf(code: number, table: Readonly<Record<number, Meaning>>): Meaning {
  return table[code] ?? ['a reason code that nobody knows', 'retryable'];
}

function sentence(what: string, name: string, { code, properties }: Verdict): string {
  const { reason, serverReference } = properties;
  const more = [reason, serverReference && `server reference ${serverReference}`].filter(Boolean).map(shown);
  return `${[`${what}: ${name} (0x${code.toString(16).padStart(2, '0')})`, ...more].join('; ')}`;
}

/** A server's own words, without what could spoil a terminal or a log. */
function shown(text: string | undefined): string {
  return (text ?? '').replace(/[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/gu, ' ').slice(0, 200);
}
