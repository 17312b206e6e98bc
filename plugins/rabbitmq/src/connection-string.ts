// `amqp://user:password@host:port/virtual-host`, taken apart.

export interface Address {
  readonly isSecure: boolean;
  readonly host: string;
  readonly port: number;
  /** Empty where there is none. */
  readonly user: string;
  readonly password: string;
  readonly virtualHost: string;
}

/** Without a path the virtual host is `/`; `/%2f` says so, and `/` names the one without a name. */
export function parseConnectionString(text: string): Address | undefined {
  if (!URL.canParse(text)) return undefined;
  const { protocol, hostname, port, username, password, pathname, search, hash } = new URL(text);
  const isSecure = protocol === 'amqps:';
  if (!isSecure && protocol !== 'amqp:') return undefined;
  if (hostname === '' || search !== '' || hash !== '' || pathname.lastIndexOf('/') > 0) return undefined;
  try {
    return {
      isSecure,
      host: hostname.replace(/^\[(.*)\]$/, '$1'),
      port: Number(port) || (isSecure ? 5671 : 5672),
      user: decodeURIComponent(username),
      password: decodeURIComponent(password),
      virtualHost: pathname === '' ? '/' : decodeURIComponent(pathname.slice(1)),
    };
  } catch {
    return undefined; // A percent sign that begins nothing.
  }
}
