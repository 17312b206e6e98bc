// Where a server is and who we are to it: what the url and its companions in the config say, taken apart.
//
// The url is not handed to the client, because the nodes of a cluster have addresses of their own and share the rest.
import type { TlsOptions } from 'spillway/plugin';

export interface NodeAddress {
  readonly host: string;
  readonly port: number;
}

export interface Server {
  readonly address: NodeAddress | { readonly path: string };
  /** Undefined: in the clear. */
  readonly tls: TlsOptions | undefined;
  readonly database: number;
  readonly username: string | undefined;
  readonly password: string | undefined;
}

const defaultPort = 6379;

/** What the url says of the server, without what it says of the user; undefined if it is no url of a Redis. */
export function parseUrl(text: string): (Omit<Server, 'tls'> & { readonly isEncrypted: boolean }) | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isSocket = url?.protocol === 'unix:';
  if (url === undefined || !(isSocket || url.protocol === 'redis:' || url.protocol === 'rediss:')) return undefined;
  const database = isSocket ? (url.searchParams.get('db') ?? '') : url.pathname.slice(1);
  const username = decoded(url.username);
  const password = decoded(url.password);
  const path = decoded(url.pathname);
  if (!/^\d{0,9}$/.test(database) || [username, password, path].includes(undefined)) return undefined;
  // What would be left out without a word: another database, as other clients write it, or a part of the path.
  const known = isSocket ? ['db'] : [];
  const isPlain = url.hash === '' && [...url.searchParams.keys()].every((name) => known.includes(name));
  if (!isPlain || (isSocket && url.hostname !== '')) return undefined;
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1') || 'localhost';
  return {
    address: isSocket ? { path: path as string } : { host, port: Number(url.port || defaultPort) },
    isEncrypted: url.protocol === 'rediss:',
    database: Number(database),
    username: username || undefined,
    password: password || undefined,
  };
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/** `host:port`, or the path of a socket. Holds no secret. */
export function addressText(address: Server['address']): string {
  if ('path' in address) return address.path;
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

/** `host:port` as nodes of a cluster write it: an IPv6 address stands there without brackets. */
export function parseNodeAddress(text: string): NodeAddress | undefined {
  const parts = /^\[?([^\s[\]]*)\]?:(\d{1,5})$/.exec(text);
  const port = Number(parts?.[2]);
  return parts === null || port === 0 || port > 65_535 ? undefined : { host: parts[1] as string, port };
}
