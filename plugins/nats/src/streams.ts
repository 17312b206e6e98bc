// Which stream takes a subject, and what writes to it. The names are the config's, or the server is asked; what it said
// is believed as long as the connection lasts, and every message names the stream it is meant for.
import type { Signal } from 'spillway/plugin';
import type { NatsConnection } from './connection.ts';
import { type Asker, createStream, StreamError, streamOfSubject } from './jet-stream.ts';
import { createdSubjects, type NatsOptions } from './options.ts';
import { type ChainContext, StreamChain } from './stream-chain.ts';
import { takesSubject } from './subject.ts';

/** Subjects whose stream is remembered. An event's fields can make any number of them. */
const namesMax = 1_000;

export class Streams {
  readonly #options: NatsOptions;
  readonly #context: ChainContext;
  readonly #chains = new Map<string, StreamChain>();
  readonly #names = new Map<string, string>();
  #namedBy: NatsConnection | undefined;

  constructor(options: NatsOptions, context: ChainContext) {
    this.#options = options;
    this.#context = context;
  }

  /** Every stream that is known. */
  get all(): Iterable<StreamChain> {
    return this.#chains.values();
  }

  /** The stream for a subject, not yet prepared. Rejects with StreamError if there is none. */
  async of(asker: Asker, subject: string, signal: Signal): Promise<StreamChain> {
    const name = this.#options.stream?.render({ signal }) ?? (await this.#nameFor(asker, subject));
    const chain = this.#chains.get(name) ?? new StreamChain(name, this.#context);
    this.#chains.set(name, chain);
    return chain;
  }

  /** Reads where the stream ends, and creates it first if it is missing and that is asked for. */
  async prepare(asker: Asker, chain: StreamChain, signal: Signal): Promise<void> {
    if (await chain.prepare(asker)) return;
    const { create_stream: create } = this.#options;
    if (create === undefined) throw missing(`there is no stream ${chain.stream}`);
    await createStream(asker, chain.stream, createdSubjects(this.#options, signal), create);
    if (await chain.prepare(asker)) return;
    // Not every server of a cluster has heard of it yet, least of all if somebody else has created it.
    throw new StreamError(`stream ${chain.stream} was created, and is not there yet`, 503, 0);
  }

  /** Asks the server anew for the names of streams. */
  forgetNames(): void {
    this.#names.clear();
  }

  async #nameFor(asker: Asker, subject: string): Promise<string> {
    if (this.#namedBy !== asker.connection || this.#names.size >= namesMax) this.#names.clear();
    this.#namedBy = asker.connection;
    const name = this.#names.get(subject) ?? this.#known(subject) ?? (await streamOfSubject(asker, subject));
    if (name === undefined) throw missing(`no stream takes the subject ${subject}`);
    this.#names.set(subject, name);
    return name;
  }

  /** A stream that was asked about on this connection already, and takes the subject, too. */
  #known(subject: string): string | undefined {
    for (const [name, { facts }] of this.#chains) {
      const isNamed = [...this.#names.values()].includes(name);
      if (isNamed && facts?.subjects.some((pattern) => takesSubject(pattern, subject))) return name;
    }
    return undefined;
  }
}

function missing(what: string): StreamError {
  return new StreamError(`${what}: create it, or set stream and create_stream`, 404, 10_059);
}
