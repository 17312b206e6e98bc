// Where to connect, and as whom: what the options say, once they are put together.
import { type HostFiles, readTls, type TlsSettings } from 'spillway/plugin';
import { type Endpoint, parseEndpoint, peerOf } from './endpoint.ts';
import type { PostgresOptions } from './options.ts';

export interface Target {
  readonly endpoint: Endpoint;
  /** For reasons and logs. */
  readonly peer: string;
  readonly user: string;
  readonly password: string | undefined;
  readonly database: string;
  /** How the connection shows up at the server. */
  readonly applicationName: string;
  /** Undefined: without TLS. Reads the files anew each time. */
  readonly readTls: () => Promise<TlsSettings | undefined>;
}

export function targetOf(options: PostgresOptions, sinkId: string, files: HostFiles): Target {
  const endpoint = parseEndpoint(options.endpoint) as Endpoint;
  const user = options.username ?? (endpoint.user as string);
  const tls = options.tls ?? (endpoint.usesTls ? { verify_certificate: true, verify_hostname: true } : undefined);
  return {
    endpoint,
    peer: peerOf(endpoint),
    user,
    password: options.password ?? endpoint.password,
    database: endpoint.database ?? user,
    applicationName: `spillway ${sinkId}`,
    readTls: async () => (tls === undefined ? undefined : await readTls(tls, files)),
  };
}
