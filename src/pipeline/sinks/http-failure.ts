// What it means for a sink when a request got no answer: whether waiting helps, or somebody has to act.
//
// Waiting helps while a peer is away, restarts or is overloaded. It does not help against a wrong name, a certificate
// that is not trusted, or a peer that speaks something else: those are `blocked`, so that an operator sees them.

import type { SinkAnswer } from '../contract/sink.ts';

type Failure = Extract<SinkAnswer, { kind: 'retryable' | 'blocked' }>;

/**
 * The answer for an error of the network, or undefined if it is none: then it is a defect, and the caller throws it.
 * `peer` is a URL without secrets.
 */
export function failureOf(cause: unknown, peer: string): Failure | undefined {
  const code = codeOf(cause);
  if (code === undefined) return undefined;
  const block = blockReason(code);
  if (block !== undefined) return { kind: 'blocked', reason: `${peer}: ${block} (${code})` };
  return { kind: 'retryable', reason: `${peer}: ${retryReasons[code] ?? 'the connection failed'} (${code})` };
}

/** Of an error that wraps others, such as one per address tried, the first that has a code. */
function codeOf(cause: unknown): string | undefined {
  if (!(cause instanceof Error)) return undefined;
  if (cause.name === 'HTTPParserError') return 'HPE';
  if ('code' in cause && typeof cause.code === 'string') return specificCode(cause, cause.code);
  const inner = cause instanceof AggregateError ? cause.errors : [cause.cause];
  return inner.map(codeOf).find((code) => code !== undefined);
}

/** OpenSSL's own reason is in the code of some Node versions and in the message of others. */
function specificCode(cause: Error, code: string): string {
  return code === 'EPROTO' && 'reason' in cause ? 'ERR_SSL' : code;
}

const retryReasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  ECONNRESET: 'the connection was reset',
  EPIPE: 'the connection was closed while sending',
  ETIMEDOUT: 'the connection timed out',
  EHOSTUNREACH: 'the host cannot be reached',
  ENETUNREACH: 'the network cannot be reached',
  EAI_AGAIN: 'the name server did not answer',
  UND_ERR_SOCKET: 'the connection was closed',
  UND_ERR_CONNECT_TIMEOUT: 'the connection could not be made in time',
};

const blockReasons: Readonly<Record<string, string>> = {
  ENOTFOUND: 'there is no such host',
  EAI_FAIL: 'the host name cannot be resolved',
  EAI_NONAME: 'there is no such host',
  EAI_NODATA: 'the host has no address',
  EACCES: 'the operating system forbids the connection',
  EPERM: 'the operating system forbids the connection',
  EPROTO: 'the TLS handshake failed',
  UND_ERR_INVALID_ARG: 'the request cannot be made, look at the URL and the headers',
};

/** Codes of certificates as Node gives them, beside those that begin with ERR_TLS, ERR_SSL, ERR_OSSL and CERT. */
const certificateCodes: readonly string[] = [
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'HOSTNAME_MISMATCH',
  'INVALID_CA',
  'INVALID_PURPOSE',
  'PATH_LENGTH_EXCEEDED',
];

function blockReason(code: string): string | undefined {
  if (blockReasons[code] !== undefined) return blockReasons[code];
  if (/^(?:ERR_TLS|CERT)_/.test(code) || certificateCodes.includes(code)) return 'the certificate is not trusted';
  if (/^ERR_O?SSL/.test(code)) return 'the TLS handshake failed';
  if (code.startsWith('HPE')) return 'what answers there does not speak HTTP';
  return undefined;
}
