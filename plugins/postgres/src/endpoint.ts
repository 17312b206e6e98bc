// Where the server is and who we are there, as one url: postgres://user:password@host:5432/database
//
// Read here and not by the client, which would take what is missing from the environment, from ~/.pgpass and from
// parameters of the url that turn off the checking of certificates or read files.

export interface Endpoint {
  /** A name, an address, or the directory of a Unix socket. */
  readonly host: string;
  readonly port: number;
  readonly user: string | undefined;
  readonly password: string | undefined;
  readonly database: string | undefined;
  /** What the url says of TLS; undefined: nothing. */
  readonly usesTls: boolean | undefined;
}

const tlsOfMode: Readonly<Record<string, boolean>> = {
  disable: false,
  require: true,
  'verify-ca': true,
  'verify-full': true,
};

/** Undefined if it is no such url, or has parameters beyond `host` and `sslmode`. */
export function parseEndpoint(text: string): Endpoint | undefined {
  // Whoever names a Unix socket names no host, which a url allows only if there is no user.
  const hosted = text.replace(/^([a-z]+:\/\/[^/?#]*@)\//, '$1-/');
  if (!URL.canParse(hosted)) return undefined;
  const url = new URL(hosted);
  if (url.protocol !== 'postgres:' && url.protocol !== 'postgresql:') return undefined;
  const parameters = [...url.searchParams.keys()];
  if (parameters.some((name) => name !== 'host' && name !== 'sslmode')) return undefined;
  const mode = url.searchParams.get('sslmode');
  if (mode !== null && tlsOfMode[mode] === undefined) return undefined;
  const named = decode(url.hostname === '-' ? '' : url.hostname).replace(/^\[(.*)\]$/, '$1');
  const host = named || (url.searchParams.get('host') ?? '');
  const database = decode(url.pathname.slice(1));
  if (host === '' || host.includes(',') || database.includes('/')) return undefined;
  return {
    host,
    port: url.port === '' ? 5432 : Number(url.port),
    user: decode(url.username) || undefined,
    password: decode(url.password) || undefined,
    database: database || undefined,
    usesTls: mode === null ? undefined : tlsOfMode[mode],
  };
}

/** What it is called in reasons and logs: nothing secret. */
export function peerOf({ host, port }: Endpoint): string {
  return host.startsWith('/') ? `${host}/.s.PGSQL.${port}` : `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** A stray percent sign stands for itself. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
