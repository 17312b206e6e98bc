// A Redis Cluster for tests: doubles that say MOVED for keys of others, and CLUSTER SLOTS. Slots are assigned by hand;
// what a node says of them can be made wrong, old, or unreachable.
import type { Answer } from './redis-data.ts';
import { RedisDouble } from './redis-double.ts';

const slotCount = 16_384;

/** Not the real checksum, but the same rule: where there are braces, what stands in them decides. */
export function slotOf(key: string): number {
  const tag = /\{([^}]+)\}/.exec(key)?.[1] ?? key;
  return [...Buffer.from(tag)].reduce((sum, byte) => (sum * 31 + byte) % slotCount, 0);
}

export class ClusterDouble {
  readonly nodes: readonly RedisDouble[];
  /** Which node has a slot; the first one unless it is said. */
  readonly #owners = new Map<number, RedisDouble>();
  /** How a node says where another one is: host or nothing, and port. */
  announce: (node: RedisDouble) => readonly [host: string | null, port: number] = (node) => ['127.0.0.1', node.port];

  private constructor(nodes: readonly RedisDouble[]) {
    this.nodes = nodes;
    for (const node of nodes) {
      node.describeSlots = ([question, key = '']) => (question === 'KEYSLOT' ? slotOf(key) : this.#slots());
      node.redirect = (key) => {
        const owner = this.ownerOf(key);
        const [host, port] = this.announce(owner);
        return owner === node ? undefined : `MOVED ${slotOf(key)} ${host ?? ''}:${port}`;
      };
    }
  }

  static async start(count: number): Promise<ClusterDouble> {
    return new ClusterDouble(await Promise.all(Array.from({ length: count }, () => RedisDouble.start())));
  }

  ownerOf(key: string): RedisDouble {
    return this.#owners.get(slotOf(key)) ?? (this.nodes[0] as RedisDouble);
  }

  /** Gives the slot of a key to a node, with nothing in it unless that node has it already. */
  assign(key: string, node: RedisDouble): void {
    this.#owners.set(slotOf(key), node);
  }

  async stop(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.stop()));
  }

  #slots(): Answer {
    const borders = [...this.#owners.keys()].sort((a, b) => a - b);
    const ranges: Answer[] = [];
    let next = 0;
    for (const slot of borders) {
      if (next < slot) ranges.push([next, slot - 1, this.#described(this.nodes[0] as RedisDouble)]);
      ranges.push([slot, slot, this.#described(this.#owners.get(slot) as RedisDouble)]);
      next = slot + 1;
    }
    // The others stand there as replicas, so that they become known.
    const others = this.nodes.slice(1).map((node) => this.#described(node));
    return [...ranges, [next, slotCount - 1, this.#described(this.nodes[0] as RedisDouble), ...others]];
  }

  #described(node: RedisDouble): Answer {
    const [host, port] = this.announce(node);
    return [host, port, `node-${this.nodes.indexOf(node)}`, []];
  }
}
