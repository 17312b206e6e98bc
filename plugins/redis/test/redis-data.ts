// What a Redis holds, for the double: streams, hashes and lists in memory, and the few commands on them that the sink
// uses. That ids ascend is the real server's rule.

export interface StoredEntry {
  readonly id: string;
  readonly fields: Readonly<Record<string, string>>;
}

interface Stream {
  readonly entries: StoredEntry[];
  lastId: string;
}

export type Answer =
  | string
  | number
  | null
  | readonly Answer[]
  | { readonly error: string }
  | { readonly status: string };

export const ok: Answer = { status: 'OK' };
const wrongType: Answer = { error: 'WRONGTYPE Operation against a key holding the wrong kind of value' };

function isAbove(a: string, b: string): boolean {
  const [a1 = 0, a2 = 0] = a.split('-').map(Number);
  const [b1 = 0, b2 = 0] = b.split('-').map(Number);
  return a1 > b1 || (a1 === b1 && a2 > b2);
}

/** The key that a command is about; undefined if it is about none. */
export function keyOfCommand([name = '', ...args]: readonly string[]): string | undefined {
  if (name === 'XINFO') return args[1];
  return ['XADD', 'XTRIM', 'HSET', 'HMGET', 'RPUSH', 'LPUSH', 'LTRIM', 'WATCH'].includes(name) ? args[0] : undefined;
}

export class RedisData {
  readonly #streams = new Map<string, Stream>();
  readonly #hashes = new Map<string, Map<string, string>>();
  readonly #lists = new Map<string, string[]>();
  readonly #versions = new Map<string, number>();

  entries(stream: string): readonly StoredEntry[] {
    return this.#streams.get(stream)?.entries ?? [];
  }

  hash(key: string): Readonly<Record<string, string>> | undefined {
    const hash = this.#hashes.get(key);
    return hash === undefined ? undefined : Object.fromEntries(hash);
  }

  list(key: string): readonly string[] {
    return this.#lists.get(key) ?? [];
  }

  has(key: string): boolean {
    return [this.#streams, this.#hashes, this.#lists].some((keys) => keys.has(key));
  }

  /** Grows with every change of the key. */
  version(key: string): number {
    return this.#versions.get(key) ?? 0;
  }

  /** As it is now, for a replica that gets nothing more. */
  copy(): RedisData {
    const copy = new RedisData();
    for (const [key, { entries, lastId }] of this.#streams) copy.#streams.set(key, { entries: [...entries], lastId });
    for (const [key, hash] of this.#hashes) copy.#hashes.set(key, new Map(hash));
    for (const [key, list] of this.#lists) copy.#lists.set(key, [...list]);
    return copy;
  }

  execute(command: readonly string[]): Answer {
    const [name, key = '', ...args] = command;
    switch (name) {
      case 'XADD':
        return this.#add(key, args);
      case 'XTRIM': {
        const entries = this.#streams.get(key)?.entries ?? [];
        return entries.splice(0, Math.max(0, entries.length - Number(args.at(-1)))).length;
      }
      case 'XINFO':
        return this.#info(args[0] ?? '');
      case 'HSET':
        return this.#set(key, args);
      case 'HMGET':
        return args.map((field) => this.#hashes.get(key)?.get(field) ?? null);
      case 'RPUSH':
      case 'LPUSH':
        return this.#push(name, key, args);
      case 'LTRIM':
        return this.#keep(key, args);
      case 'DEL':
        for (const gone of [key, ...args]) {
          this.#streams.delete(gone);
          this.#hashes.delete(gone);
          this.#lists.delete(gone);
          this.#touch(gone);
        }
        return 1;
      default:
        return { error: `ERR unknown command '${name}'` };
    }
  }

  #add(key: string, [given = '', ...fields]: readonly string[]): Answer {
    if (this.#hashes.has(key) || this.#lists.has(key)) return wrongType;
    const stream = this.#streams.get(key) ?? { entries: [], lastId: '0-0' };
    const id = given === '*' ? `1700000000000-${stream.entries.length}` : given;
    if (!isAbove(id, stream.lastId)) {
      return { error: 'ERR The ID specified in XADD is equal or smaller than the target stream top item' };
    }
    const pairs = fields.flatMap((field, index) => (index % 2 === 0 ? [[field, fields[index + 1] ?? '']] : []));
    stream.entries.push({ id, fields: Object.fromEntries(pairs) });
    stream.lastId = id;
    this.#streams.set(key, stream);
    this.#touch(key);
    return id;
  }

  #info(key: string): Answer {
    const stream = this.#streams.get(key);
    if (stream === undefined) return { error: 'ERR no such key' };
    return ['length', stream.entries.length, 'last-generated-id', stream.lastId];
  }

  #set(key: string, fields: readonly string[]): Answer {
    const hash = this.#hashes.get(key) ?? new Map<string, string>();
    fields.forEach((field, index) => {
      if (index % 2 === 0) hash.set(field, fields[index + 1] ?? '');
    });
    this.#hashes.set(key, hash);
    this.#touch(key);
    return fields.length / 2;
  }

  #push(name: string, key: string, elements: readonly string[]): Answer {
    if (this.#hashes.has(key) || this.#streams.has(key)) return wrongType;
    const list = this.#lists.get(key) ?? [];
    if (name === 'RPUSH') list.push(...elements);
    else list.unshift(...[...elements].reverse());
    this.#lists.set(key, list);
    this.#touch(key);
    return list.length;
  }

  #keep(key: string, [first = '0', last = '-1']: readonly string[]): Answer {
    const list = this.#lists.get(key) ?? [];
    const at = (index: string): number => (Number(index) < 0 ? list.length + Number(index) : Number(index));
    this.#lists.set(key, list.slice(Math.max(0, at(first)), at(last) + 1));
    this.#touch(key);
    return ok;
  }

  #touch(key: string): void {
    this.#versions.set(key, this.version(key) + 1);
  }
}
