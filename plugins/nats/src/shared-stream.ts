// Publishing into a stream that others write to, too: no place in it says anything about what is already there, so only
// the server's window for duplicates keeps repeats out, by the id of the message. Order is that of sending, unless a
// message in the middle is refused or lost: the batch then comes again, and with it what stands behind.
import type { NatsConnection } from './connection.ts';
import { noSuchStream, readAcknowledgement, StreamError } from './jet-stream.ts';
import type { Break, ChainedMessage } from './stream-chain.ts';
import { type Publication, publishedBytes, type WireAnswer } from './wire.ts';

export class SharedStream {
  readonly #connection: NatsConnection;
  /** Whether keys mean something beyond this process. */
  readonly #hasIds: boolean;
  #break: Break | undefined;

  constructor(connection: NatsConnection, hasIds: boolean) {
    this.#connection = connection;
    this.#hasIds = hasIds;
  }

  get break(): Break | undefined {
    return this.#break;
  }

  bytesOf(message: ChainedMessage): number {
    return publishedBytes(this.#publication(message));
  }

  send(message: ChainedMessage, onAnswered: () => void): void {
    this.#connection.publish(this.#publication(message), (answer) => {
      const error = failureOf(answer);
      if (error !== undefined) this.#break ??= { kind: 'failed', error };
      onAnswered();
    });
  }

  #publication({ key, subject, headers, payload }: ChainedMessage): Publication {
    return { subject, headers: this.#hasIds ? [['Nats-Msg-Id', key], ...headers] : headers, payload };
  }
}

function failureOf(answer: WireAnswer | Error): Error | undefined {
  if (answer instanceof Error) return answer;
  // It may also be that its leader changes, but only this needs somebody.
  if (answer.status === 503) return new StreamError('no stream takes the subject', 404, noSuchStream);
  try {
    const { isDuplicate, sequence } = readAcknowledgement(answer);
    // A server in a cluster says so of an id that it has heard, and has not stored yet, or has refused.
    const isUndecided = isDuplicate && sequence === 0;
    return isUndecided ? new StreamError('the id is known, and its message not stored yet', 409, 0) : undefined;
  } catch (error) {
    return error as Error;
  }
}
