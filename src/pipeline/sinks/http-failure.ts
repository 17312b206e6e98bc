// What it means for a sink that speaks HTTP when a request got no answer: as for every sink (network-failure.ts), and
// what undici says of connections and requests.

import { type NetworkFailure, networkCode, networkFailure } from '../contract/network-failure.ts';

/**
 * The answer for an error of the network, or undefined if it is none: then it is a defect, and the caller throws it.
 * `peer` is a URL without secrets.
 */
export function failureOf(cause: unknown, peer: string): NetworkFailure | undefined {
  if (speaksNoHttp(cause)) return { kind: 'blocked', reason: `${peer}: what answers there does not speak HTTP (HPE)` };
  const failure = networkFailure(cause, peer);
  if (failure !== undefined) return failure;
  const code = networkCode(cause);
  if (code === undefined) return undefined;
  if (code === 'UND_ERR_INVALID_ARG') {
    return {
      kind: 'blocked',
      reason: `${peer}: the request cannot be made, look at the URL and the headers (${code})`,
    };
  }
  return { kind: 'retryable', reason: `${peer}: ${retryReasons[code] ?? 'the connection failed'} (${code})` };
}

const retryReasons: Readonly<Record<string, string>> = {
  UND_ERR_SOCKET: 'the connection was closed',
  UND_ERR_CONNECT_TIMEOUT: 'the connection could not be made in time',
};

function speaksNoHttp(cause: unknown): boolean {
  if (!(cause instanceof Error)) return false;
  if (cause.name === 'HTTPParserError' || ('code' in cause && String(cause.code).startsWith('HPE'))) return true;
  const inner = cause instanceof AggregateError ? cause.errors : [cause.cause];
  return inner.some(speaksNoHttp);
}
