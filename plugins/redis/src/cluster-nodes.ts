// The nodes of a Redis Cluster: which of them has a key, and where it can be reached from here.
//
// Any node can be asked, and nothing is believed for longer than a connection lasts: whoever lost one asks again. What
// did not answer, or lost its connection, goes to the end of the line: the next try begins with another node, and one
// that stands still costs its time-out once.
//
// What can go wrong
// - A node that was cut off from the others tells what it last knew. Whoever is sent to the wrong node hears there that
//   it has moved, or that the cluster is down, and asks another.
// - Nodes announce addresses of a network that is not ours. `node_address_map` puts others in their place.
import { ErrorReply } from '@redis/client';
import type { Deadline } from 'spillway/plugin';
import type { RedisConnection, Reply } from './connection.ts';
import { ConnectionLost } from './failure.ts';
import { addressText, type NodeAddress, parseNodeAddress } from './server.ts';

export interface ClusterNodesOptions {
  /** Those of the config; at least one. */
  readonly seeds: readonly NodeAddress[];
  /** From what a node announces, `host:port`, to where it is for us. */
  readonly addressMap: ReadonlyMap<string, NodeAddress>;
  /** How long one node may take to connect and to answer, before the next one is asked. */
  readonly askTimeoutMs: number;
  open(address: NodeAddress, deadline: Deadline): Promise<RedisConnection>;
}

/** A range of slots, and the nodes that have it, the master first; a node that does not say where it is is left out. */
interface SlotRange {
  readonly first: number;
  readonly last: number;
  readonly master: NodeAddress | undefined;
  readonly replicas: readonly NodeAddress[];
}

/** Reasons that are told when no node could be asked. */
const reasonsMax = 3;

export class ClusterNodes {
  readonly #options: ClusterNodesOptions;
  /** In the order in which they are asked. */
  #line: readonly NodeAddress[];

  constructor(options: ClusterNodesOptions) {
    this.#options = options;
    this.#line = options.seeds;
  }

  /** The master that has a key. Rejects with ConnectionLost or an ErrorReply when no node could say. */
  async masterOf(key: string, deadline: Deadline): Promise<NodeAddress> {
    const failures: unknown[] = [];
    for (const node of this.#line) {
      if (deadline.leftMs === 0 || deadline.signal.aborted) break;
      try {
        return await this.#ask(node, key, deadline.shortened(this.#options.askTimeoutMs));
      } catch (error) {
        failures.push(error);
        this.avoid(node);
      }
    }
    // What a node said counts for more than the silence of another.
    throw failures.find((error) => error instanceof ErrorReply) ?? silenceOf(failures);
  }

  /** Asks this node after all others. */
  avoid(node: NodeAddress): void {
    this.#line = unique([...this.#line.filter((other) => !isSame(other, node)), node]);
  }

  /** Where `host:port`, as `from` has said it, is for us. Undefined if it says nothing. */
  reachable(announced: string, from: NodeAddress): NodeAddress | undefined {
    const address = parseNodeAddress(announced);
    if (address === undefined || address.host === '?') return undefined;
    // An empty host is that of whoever says so.
    const known = { host: address.host || from.host, port: address.port };
    return this.#options.addressMap.get(addressText(known)) ?? known;
  }

  async #ask(node: NodeAddress, key: string, deadline: Deadline): Promise<NodeAddress> {
    const connection = await this.#options.open(node, deadline);
    try {
      const [slot, slots] = await connection.send(
        [
          ['CLUSTER', 'KEYSLOT', key],
          ['CLUSTER', 'SLOTS'],
        ],
        deadline,
      );
      for (const reply of [slot, slots]) if (reply instanceof ErrorReply) throw reply;
      const ranges = this.#rangesOf(slots, node);
      if (typeof slot !== 'number' || ranges === undefined) {
        throw new ConnectionLost(`${connection.peer}: it does not say in a known form which node has which slots`);
      }
      const found = ranges.find(({ first, last }) => first <= slot && slot <= last);
      if (found === undefined) throw new ConnectionLost(`${connection.peer}: no node has slot ${slot}, that of ${key}`);
      if (found.master === undefined) {
        throw new ConnectionLost(
          `${connection.peer}: the node with slot ${slot} announces no address: set its cluster-announce-ip`,
        );
      }
      const others = ranges.flatMap(({ master, replicas }) => [...(master ? [master] : []), ...replicas]);
      this.#line = unique([node, ...others, ...this.#options.seeds]);
      return found.master;
    } finally {
      connection.close();
    }
  }

  #rangesOf(reply: Reply | undefined, from: NodeAddress): readonly SlotRange[] | undefined {
    if (!Array.isArray(reply)) return undefined;
    return (reply as readonly Reply[]).flatMap((range): SlotRange[] => {
      if (!Array.isArray(range)) return [];
      const [first, last, ...nodes] = range as readonly Reply[];
      const [master, ...replicas] = nodes.map((node) => this.#nodeOf(node, from));
      if (typeof first !== 'number' || typeof last !== 'number') return [];
      return [{ first, last, master, replicas: replicas.filter((replica) => replica !== undefined) }];
    });
  }

  /** A node stands there as a list: host or nothing, port, and more that is of no use here. */
  #nodeOf(reply: Reply, from: NodeAddress): NodeAddress | undefined {
    const [host, port] = Array.isArray(reply) ? (reply as readonly Reply[]) : [];
    if (typeof port !== 'number' || !(host === null || typeof host === 'string')) return undefined;
    return this.reachable(`${host ?? ''}:${port}`, from);
  }
}

/** Blocked only where every node is: another one may come back. */
function silenceOf(failures: readonly unknown[]): unknown {
  const losses = failures.filter((error) => error instanceof ConnectionLost);
  if (losses.length < failures.length) return failures.find((error) => !(error instanceof ConnectionLost));
  const kind = losses.length > 0 && losses.every((loss) => loss.kind === 'blocked') ? 'blocked' : 'retryable';
  const told = losses.slice(0, reasonsMax).map(({ message }) => message);
  const reason = told.length === 0 ? 'given up before one was asked' : told.join('; ');
  return new ConnectionLost(`no node of the cluster says who has the key: ${reason}`, { kind });
}

function isSame(a: NodeAddress, b: NodeAddress): boolean {
  return addressText(a) === addressText(b);
}

/** Each node once, where it stands first. */
function unique(nodes: readonly NodeAddress[]): readonly NodeAddress[] {
  return [...new Map([...nodes].reverse().map((node) => [addressText(node), node])).values()].reverse();
}
