// What a test wants to know of a Redis: a connection for each question, given up when nobody answers.
import { RedisClient as Client } from '@redis/client';

const pageEntries = 5_000;
/** A class with all commands takes a tenth of a second, which `createClient` spends on every new set of options. */
const clientOf = Client.factory();

export interface FoundEntry {
  readonly id: string;
  readonly data: string;
}

/** The port on this machine, and what the server asks for. */
export type RedisPlace = number | { readonly port: number; readonly password: string };

export class RedisClient implements AsyncDisposable {
  readonly #client: ReturnType<typeof clientOf>;

  private constructor(place: RedisPlace) {
    // The client's time-out for commands ends when they are written. Where a server stands still, the socket's counts.
    const wait = { connectTimeout: 2_000, socketTimeout: 2_000 };
    const { port, ...secret } = typeof place === 'number' ? { port: place } : place;
    this.#client = clientOf({ ...secret, socket: { host: '127.0.0.1', port, reconnectStrategy: false, ...wait } });
    this.#client.on('error', () => undefined);
  }

  static async #open(place: RedisPlace): Promise<RedisClient> {
    const opened = new RedisClient(place);
    await opened.#client.connect();
    return opened;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#client.destroy();
  }

  /** Whether a new client gets an answer. */
  static async answers(place: RedisPlace): Promise<boolean> {
    try {
      await using opened = await RedisClient.#open(place);
      return (await opened.#client.ping()) === 'PONG';
    } catch {
      return false;
    }
  }

  /** All entries, in the stream's order. */
  static async entries(place: RedisPlace, stream: string): Promise<FoundEntry[]> {
    await using opened = await RedisClient.#open(place);
    const found: FoundEntry[] = [];
    for (let from = '-'; ; ) {
      const page = (await opened.#client.xRange(stream, from, '+', { COUNT: pageEntries })) ?? [];
      found.push(...page.map(({ id, message }) => ({ id, data: message['data'] ?? '' })));
      const last = page.at(-1);
      if (last === undefined || page.length < pageEntries) return found;
      from = `(${last.id}`;
    }
  }

  /** All elements of a list, from its head. */
  static async elements(place: RedisPlace, list: string): Promise<string[]> {
    await using opened = await RedisClient.#open(place);
    const found: string[] = [];
    for (;;) {
      const page = await opened.#client.lRange(list, found.length, found.length + pageEntries - 1);
      found.push(...page);
      if (page.length < pageEntries) return found;
    }
  }

  /** The last entry; undefined if there is none, or nobody answers. */
  static async lastEntry(place: RedisPlace, stream: string): Promise<FoundEntry | undefined> {
    try {
      await using opened = await RedisClient.#open(place);
      const [last] = (await opened.#client.xRevRange(stream, '+', '-', { COUNT: 1 })) ?? [];
      return last && { id: last.id, data: last.message['data'] ?? '' };
    } catch {
      return undefined;
    }
  }

  /** One command after the other on one connection. */
  static async send(place: RedisPlace, ...commands: readonly (readonly string[])[]): Promise<unknown[]> {
    await using opened = await RedisClient.#open(place);
    const replies: unknown[] = [];
    for (const command of commands) replies.push(await opened.#client.sendCommand([...command]));
    return replies;
  }

  /** Forgets everything. Waits for a server that is just starting. */
  static async flush(place: RedisPlace): Promise<void> {
    for (let tries = 0; ; tries += 1) {
      try {
        await using opened = await RedisClient.#open(place);
        await opened.#client.flushAll();
        return;
      } catch (error) {
        if (tries >= 100) throw error;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  }
}
