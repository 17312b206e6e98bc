// A key and the connection to the server that has it, opened when it is needed and again after it was lost. Each key
// has a connection of its own: in a cluster keys live on different nodes, and a WATCH (owned-stream.ts) ends with the
// next transaction on its connection, whatever that was about.
//
// In a cluster a node that no longer has the key says MOVED and has executed nothing: the connection is closed and the
// work begun again at once on the node that it names. ASK and TRYAGAIN, while a slot is moved key by key, are waited
// for: a stream and its companion may be on two nodes then, and no answer of either says how far was written.
import { ErrorReply } from '@redis/client';
import type { Deadline, Log, World } from 'spillway/plugin';
import { ClusterNodes } from './cluster-nodes.ts';
import { RedisConnection } from './connection.ts';
import { ConnectionLost, isStale, movedTo } from './failure.ts';
import { addressText, type NodeAddress, type Server } from './server.ts';

/** How often in a row a key may be somewhere else. */
const movesMax = 5;

export interface Cluster {
  readonly seeds: readonly NodeAddress[];
  readonly addressMap: ReadonlyMap<string, NodeAddress>;
}

export interface RouteOptions {
  readonly server: Server;
  /** Undefined: there is that server alone. */
  readonly cluster: Cluster | undefined;
  readonly connectTimeoutMs: number;
  readonly world: World;
  readonly log: Log;
}

/** How the lanes of a sink come to their servers. */
export class Route {
  readonly #options: RouteOptions;
  readonly nodes: ClusterNodes | undefined;

  constructor(options: RouteOptions) {
    this.#options = options;
    const { cluster } = options;
    const open = (address: NodeAddress, deadline: Deadline) => this.open(deadline, address);
    this.nodes = cluster && new ClusterNodes({ ...cluster, askTimeoutMs: options.connectTimeoutMs, open });
  }

  /** Rejects with ConnectionLost or the server's ErrorReply. */
  async open(deadline: Deadline, address: Server['address'] = this.#options.server.address): Promise<RedisConnection> {
    const { server, world, log, connectTimeoutMs } = this.#options;
    const connection = await RedisConnection.open({ ...server, address }, world, deadline.shortened(connectTimeoutMs));
    log.debug('connected', { peer: connection.peer });
    return connection;
  }

  /** Whether the config names it, so that it should be reachable. */
  isNamed(address: NodeAddress): boolean {
    const text = addressText(address);
    const { seeds = [], addressMap = new Map<string, NodeAddress>() } = this.#options.cluster ?? {};
    return [...seeds, ...addressMap.values()].some((named) => addressText(named) === text);
  }
}

export class Lane {
  readonly key: string;
  readonly #route: Route;
  #connection: RedisConnection | undefined;
  /** The node that it leads to, in a cluster. */
  #node: NodeAddress | undefined;

  constructor(key: string, route: Route) {
    this.key = key;
    this.#route = route;
  }

  /** Does work on the connection. It is begun anew, on another one, when the key has moved. */
  async run<Value>(deadline: Deadline, work: (connection: RedisConnection) => Promise<Value>): Promise<Value> {
    for (let moves = 0; ; moves += 1) {
      const connection = await this.#connect(deadline);
      try {
        return await work(connection);
      } catch (error) {
        const target = this.#follow(error);
        if (target === undefined) throw error;
        if (moves === movesMax) throw new ConnectionLost(`${this.key} moves from node to node: ${String(error)}`);
      }
    }
  }

  close(): void {
    this.#connection?.close();
    this.#connection = undefined;
  }

  /** Closes what is of no more use, and gives the node to go on with at once, if there is one. */
  #follow(error: unknown): NodeAddress | undefined {
    const { nodes } = this.#route;
    const isLost = error instanceof ConnectionLost || (error instanceof ErrorReply && isStale(error));
    if (isLost) this.close();
    if (nodes === undefined || this.#node === undefined) return undefined;
    const announced = movedTo(error);
    const from = this.#node;
    if (isLost) this.#node = undefined;
    if (announced === undefined) {
      if (isLost) nodes.avoid(from);
      return undefined;
    }
    this.#node = nodes.reachable(announced, from);
    if (this.#node !== undefined) return this.#node;
    throw new ConnectionLost(`${addressText(from)}: ${String(error)}: that node announces no address`);
  }

  async #connect(deadline: Deadline): Promise<RedisConnection> {
    if (this.#connection?.isOpen) return this.#connection;
    const { nodes } = this.#route;
    this.#connection = nodes === undefined ? await this.#route.open(deadline) : await this.#openNode(nodes, deadline);
    return this.#connection;
  }

  async #openNode(nodes: ClusterNodes, deadline: Deadline): Promise<RedisConnection> {
    // Where MOVED has led; otherwise whoever has the key now, for a connection is lost when a node is replaced.
    const moved = this.#connection === undefined ? this.#node : undefined;
    const node = moved ?? (await nodes.masterOf(this.key, deadline));
    this.#node = node;
    try {
      return await this.#route.open(deadline, node);
    } catch (error) {
      this.#node = undefined;
      nodes.avoid(node);
      if (!(error instanceof ConnectionLost) || this.#route.isNamed(node)) throw error;
      const { message, kind } = error;
      const hint = 'this is the address that the cluster announces; node_address_map puts another one in its place';
      throw new ConnectionLost(`${message} (${hint})`, { cause: error, kind });
    }
  }
}
