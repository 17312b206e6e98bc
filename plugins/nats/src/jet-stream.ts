// Questions to JetStream about a stream: which one takes a subject, where it ends, what its last message is.
//
// All of them are answered by the leader of the stream. Reading directly (DIRECT.GET), which any replica answers, is
// not used: a replica may be behind, and what it does not know yet would be sent again.
import type { Deadline } from 'spillway/plugin';
import type { NatsConnection } from './connection.ts';
import type { CreateOptions } from './options.ts';
import { parseObject, type WireAnswer } from './wire.ts';

/** JetStream answered with an error. */
export class StreamError extends Error {
  override readonly name = 'StreamError';
  /** Like that of HTTP. */
  readonly status: number;
  /** The server's own number for it; 0 where it has none. */
  readonly code: number;

  constructor(message: string, status: number, code: number) {
    super(message);
    this.status = status;
    this.code = code;
  }

  /** The same about something that has a name: servers leave it out. */
  about(what: string): StreamError {
    return new StreamError(`${what}: ${this.message}`, this.status, this.code);
  }
}

export interface StreamFacts {
  readonly name: string;
  readonly subjects: readonly string[];
  /** Of headers and payload. */
  readonly messageBytesMax: number;
  readonly duplicateWindowMs: number;
  /** The number of the last message that was ever stored, whether or not it is still there. */
  readonly lastSequence: number;
  readonly messages: number;
}

export interface StoredMessage {
  readonly sequence: number;
  readonly headers: ReadonlyMap<string, string>;
}

/** What JetStream says after it stored a message. */
export interface Acknowledgement {
  readonly stream: string;
  readonly sequence: number;
  readonly isDuplicate: boolean;
}

export const noSuchStream = 10059;
const noSuchMessage = 10037;
const nameInUse = 10058;

export interface Asker {
  readonly connection: NatsConnection;
  readonly deadline: Deadline;
  readonly domain: string | undefined;
}

export async function streamOfSubject(asker: Asker, subject: string): Promise<string | undefined> {
  const { streams } = await ask(asker, 'STREAM.NAMES', { subject });
  const [name] = Array.isArray(streams) ? streams : [];
  return typeof name === 'string' ? name : undefined;
}

/** Undefined: there is no such stream. */
export async function factsOf(asker: Asker, stream: string): Promise<StreamFacts | undefined> {
  try {
    return readFacts(await ask(asker, `STREAM.INFO.${stream}`, undefined));
  } catch (error) {
    if (error instanceof StreamError && error.code === noSuchStream) return undefined;
    throw error;
  }
}

/** Undefined: nothing that was stored is still there. */
export async function lastMessageOf(asker: Asker, stream: string): Promise<StoredMessage | undefined> {
  try {
    const { message } = await ask(asker, `STREAM.MSG.GET.${stream}`, { last_by_subj: '>' });
    const { seq, hdrs } = asObject(message);
    if (typeof seq !== 'number') throw new StreamError('the last message has no number', 500, 0);
    return { sequence: seq, headers: readHeaders(typeof hdrs === 'string' ? hdrs : '') };
  } catch (error) {
    if (error instanceof StreamError && error.code === noSuchMessage) return undefined;
    throw error;
  }
}

export async function createStream(
  asker: Asker,
  stream: string,
  subjects: readonly string[],
  options: CreateOptions,
): Promise<void> {
  const { storage, replicas, discard, max_age_secs: maxAgeMs, max_bytes: maxBytes } = options;
  const config = {
    ...{ name: stream, subjects, storage, retention: 'limits', discard, num_replicas: replicas },
    ...(maxAgeMs === undefined ? {} : { max_age: maxAgeMs * 1e6 }),
    ...{ max_bytes: maxBytes ?? -1, max_msgs: -1, max_consumers: -1, max_msg_size: -1 },
  };
  try {
    await ask(asker, `STREAM.CREATE.${stream}`, config);
  } catch (error) {
    // Somebody else was faster, and wants it otherwise: as it is, it is.
    if (!(error instanceof StreamError)) throw error;
    if (error.code !== nameInUse) throw error.about(`creating stream ${stream}`);
  }
}

/** Throws StreamError if it is none. */
export function readAcknowledgement({ status, payload }: WireAnswer): Acknowledgement {
  if (status === 503) throw new StreamError('no stream takes the subject now', 503, 0);
  const answer = parseObject(payload.toString());
  throwIfRefused(answer);
  const { stream, seq, duplicate } = asObject(answer);
  if (typeof stream !== 'string' || typeof seq !== 'number') {
    throw new StreamError('something answered that is no stream', 500, 0);
  }
  return { stream, sequence: seq, isDuplicate: duplicate === true };
}

async function ask(
  { connection, deadline, domain }: Asker,
  question: string,
  body: object | undefined,
): Promise<Readonly<Record<string, unknown>>> {
  const prefix = domain === undefined ? '$JS.API' : `$JS.${domain}.API`;
  const payload = Buffer.from(body === undefined ? '' : JSON.stringify(body));
  const answered = new Promise<WireAnswer>((resolve, reject) => {
    connection.publish({ subject: `${prefix}.${question}`, headers: [], payload }, (answer) =>
      answer instanceof Error ? reject(answer) : resolve(answer),
    );
  });
  const { status, payload: said } = await deadline.within(answered, `asking for ${question}`);
  if (status === 503) throw new StreamError('JetStream is not enabled for this account', 503, 10_039);
  const answer = parseObject(said.toString());
  throwIfRefused(answer);
  return asObject(answer);
}

function throwIfRefused(answer: Readonly<Record<string, unknown>> | undefined): void {
  if (answer?.['error'] === undefined) return;
  const { description, code, err_code: number } = asObject(answer['error']);
  const text = typeof description === 'string' ? description : 'an error without a description';
  throw new StreamError(text, typeof code === 'number' ? code : 500, typeof number === 'number' ? number : 0);
}

function asObject(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null) return value as Readonly<Record<string, unknown>>;
  throw new StreamError('the answer cannot be read', 500, 0);
}

function readFacts(answer: Readonly<Record<string, unknown>>): StreamFacts {
  const { name, subjects, max_msg_size: messageBytes, duplicate_window: windowNs } = asObject(answer['config']);
  const { last_seq: lastSequence, messages } = asObject(answer['state']);
  if (typeof name !== 'string' || typeof lastSequence !== 'number' || typeof messages !== 'number') {
    throw new StreamError('what it says of the stream cannot be read', 500, 0);
  }
  return {
    name,
    subjects: Array.isArray(subjects) ? subjects.filter((subject) => typeof subject === 'string') : [],
    messageBytesMax: typeof messageBytes === 'number' && messageBytes >= 0 ? messageBytes : Number.POSITIVE_INFINITY,
    duplicateWindowMs: typeof windowNs === 'number' ? windowNs / 1e6 : 0,
    lastSequence,
    messages,
  };
}

function readHeaders(base64: string): ReadonlyMap<string, string> {
  const lines = Buffer.from(base64, 'base64').toString().split('\r\n').slice(1);
  return new Map(
    lines.flatMap((line): [string, string][] => {
      const colon = line.indexOf(':');
      return colon < 0 ? [] : [[line.slice(0, colon), line.slice(colon + 1).trim()]];
    }),
  );
}

/** Whether a publish failed because the stream does not end where it was expected to. */
export function isMoved({ code }: StreamError): boolean {
  return [10_070, 10_071, 10_158, 10_164].includes(code);
}

/** Whether it failed because the server has seen the id, and does not know yet what became of it. */
export function isUndecidedDuplicate({ code }: StreamError): boolean {
  return code === 10_158;
}
