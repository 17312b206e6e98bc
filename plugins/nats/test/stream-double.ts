// A stream of JetStream for tests, in memory: what it takes, what it refuses, and in which order it looks. The order is
// that of the real server without a cluster, 2.15; `notesIdsEarly` makes it that of a stream in a 2.10 cluster, which
// remembers an id before it knows whether the message is taken. The real server plays its part in the container tests.

export interface StoredMessage {
  readonly sequence: number;
  readonly subject: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly payload: Buffer;
}

export interface StreamLimits {
  readonly messageBytesMax?: number;
  /** With `discard: new`. */
  readonly messagesMax?: number;
  readonly isSealed?: boolean;
  readonly notesIdsEarly?: boolean;
}

export type Published = Omit<StoredMessage, 'sequence'> & { readonly bytes: number };
export type Verdict =
  | { readonly stream: string; readonly seq: number; readonly duplicate?: true }
  | { readonly error: { readonly code: number; readonly err_code: number; readonly description: string } };

export function refusal(code: number, number: number, description: string): Verdict {
  return { error: { code, err_code: number, description } };
}

export class StreamDouble {
  readonly name: string;
  readonly subjects: readonly string[];
  limits: StreamLimits;
  messages: StoredMessage[] = [];
  lastSequence: number = 0;
  #lastId = '';
  /** Ids in the window for duplicates, with the numbers of their messages; 0: not stored, or not yet. */
  readonly #ids = new Map<string, number>();

  constructor(name: string, subjects: readonly string[], limits: StreamLimits = {}) {
    this.name = name;
    this.subjects = subjects;
    this.limits = limits;
  }

  takes(subject: string): boolean {
    return this.subjects.some((pattern) => matches(pattern, subject));
  }

  /** The window for duplicates has passed. */
  forgetIds(): void {
    this.#ids.clear();
  }

  /** As servers before 2.15 come back when the last message is older than the window. */
  restart(): void {
    this.forgetIds();
    this.#lastId = '';
  }

  purge(): void {
    this.messages = [];
  }

  publish(published: Published): Verdict {
    const { headers } = published;
    const { messageBytesMax, messagesMax, isSealed, notesIdsEarly } = this.limits;
    const id = headers['Nats-Msg-Id'] ?? '';
    if (isSealed) return refusal(400, 10_109, 'invalid operation on sealed stream');
    if (published.bytes > (messageBytesMax ?? Number.POSITIVE_INFINITY)) {
      return refusal(400, 10_054, 'message size exceeds maximum allowed');
    }
    if ((headers['Nats-Expected-Stream'] ?? this.name) !== this.name) {
      return refusal(400, 10_060, 'expected stream does not match');
    }
    if (notesIdsEarly && this.#ids.has(id)) return this.#duplicate(id);
    if (notesIdsEarly && id !== '') this.#ids.set(id, 0);
    const expected = headers['Nats-Expected-Last-Sequence'];
    if (expected !== undefined && Number(expected) !== this.lastSequence) {
      return refusal(400, 10_071, `wrong last sequence: ${this.lastSequence}`);
    }
    if (!notesIdsEarly && this.#ids.has(id)) return this.#duplicate(id);
    const expectedId = headers['Nats-Expected-Last-Msg-Id'];
    if (expectedId !== undefined && expectedId !== this.#lastId) {
      return refusal(400, 10_070, `wrong last msg ID: ${this.#lastId}`);
    }
    if (this.messages.length >= (messagesMax ?? Number.POSITIVE_INFINITY)) {
      return refusal(503, 10_077, 'maximum messages exceeded');
    }
    this.lastSequence += 1;
    this.messages.push({ ...published, sequence: this.lastSequence });
    this.#lastId = id;
    if (id !== '') this.#ids.set(id, this.lastSequence);
    return { stream: this.name, seq: this.lastSequence };
  }

  #duplicate(id: string): Verdict {
    return { stream: this.name, seq: this.#ids.get(id) ?? 0, duplicate: true };
  }

  describe(): object {
    const { name, subjects, limits, messages, lastSequence } = this;
    return {
      config: { name, subjects, max_msg_size: limits.messageBytesMax ?? -1, duplicate_window: 120e9 },
      state: { messages: messages.length, last_seq: lastSequence },
    };
  }

  lastMessage(): object | undefined {
    const last = this.messages.at(-1);
    if (last === undefined) return undefined;
    const lines = Object.entries(last.headers).map(([name, value]) => `${name}: ${value}\r\n`);
    const headers = Buffer.from(`NATS/1.0\r\n${lines.join('')}\r\n`).toString('base64');
    return { message: { subject: last.subject, seq: last.sequence, hdrs: headers, data: '' } };
  }
}

function matches(pattern: string, subject: string): boolean {
  const parts = pattern.split('.').map((part) => {
    if (part === '*') return '[^.]+';
    return part === '>' ? '.+' : part.replace(/[^\w-]/g, '\\$&');
  });
  return new RegExp(`^${parts.join('\\.')}$`).test(subject);
}
