// What it means for a sink when the network gave an error instead of an answer: whether waiting helps, or somebody has
// to act.
//
// Waiting helps while a peer is away, restarts or is overloaded. It does not help against a wrong name or a certificate
// that is not trusted: those are `blocked`, so that an operator sees them.

import type { SinkAnswer } from './sink.ts';

export type NetworkFailure = Extract<SinkAnswer, { kind: 'retryable' | 'blocked' }>;

/**
 * The answer for an error of a socket, of TLS or of the resolver; undefined if it is none of these. Looks into the
 * causes of an error and into those of several addresses. `peer` is shown: it may hold no secret.
 */
export function networkFailure(cause: unknown, peer: string): NetworkFailure | undefined {
  const code = networkCode(cause);
  const block = code === undefined ? undefined : blockReason(code);
  if (block !== undefined) return { kind: 'blocked', reason: `${peer}: ${block} (${code})` };
  const retry = code === undefined ? undefined : retryReasons[code];
  return retry === undefined ? undefined : { kind: 'retryable', reason: `${peer}: ${retry} (${code})` };
}

/** The code of an error, or of the first of its causes that has one. */
export function networkCode(cause: unknown): string | undefined {
  if (!(cause instanceof Error)) return undefined;
  if ('code' in cause && typeof cause.code === 'string') return specificCode(cause, cause.code);
  const inner = cause instanceof AggregateError ? cause.errors : [cause.cause];
  return inner.map(networkCode).find((code) => code !== undefined);
}

/** OpenSSL's own reason is in the code of some Node versions and in the message of others. */
function specificCode(cause: Error, code: string): string {
  return code === 'EPROTO' && 'reason' in cause ? 'ERR_SSL' : code;
}

const retryReasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  ECONNRESET: 'the connection was reset',
  ECONNABORTED: 'the connection was given up',
  EPIPE: 'the connection was closed while sending',
  ETIMEDOUT: 'the connection timed out',
  EHOSTUNREACH: 'the host cannot be reached',
  EHOSTDOWN: 'the host is down',
  ENETUNREACH: 'the network cannot be reached',
  ENETDOWN: 'the network is down',
  EADDRNOTAVAIL: 'no local port is free',
  EMFILE: 'too many files are open here',
  ENFILE: 'too many files are open on this machine',
  EAI_AGAIN: 'the name server did not answer',
  ENOENT: 'there is no such socket',
};

const blockReasons: Readonly<Record<string, string>> = {
  ENOTFOUND: 'there is no such host',
  EAI_FAIL: 'the host name cannot be resolved',
  EAI_NONAME: 'there is no such host',
  EAI_NODATA: 'the host has no address',
  EACCES: 'the operating system forbids the connection',
  EPERM: 'the operating system forbids the connection',
  EPROTO: 'the TLS handshake failed: perhaps what answers there speaks no TLS',
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

/** What to look at, where OpenSSL's code tells an operator. The keys are those of `tls`. */
const tlsReasons: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'the certificate is not trusted: it has expired',
  CERT_NOT_YET_VALID: 'the certificate is not trusted: it is not valid yet',
  ERR_TLS_CERT_ALTNAME_INVALID: 'the certificate is not trusted: it is for another name',
  ERR_SSL_WRONG_VERSION_NUMBER: 'the TLS handshake failed: what answers there speaks no TLS, or none of our versions',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'the TLS handshake failed: what answers there speaks no TLS',
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: 'the peer wants a certificate: crt_file and key_file',
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: 'the peer does not trust our certificate, that in crt_file',
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED: 'the peer does not take our certificate, that in crt_file: it has expired',
  ERR_OSSL_BAD_DECRYPT: 'the private key in key_file cannot be read: key_pass is wrong or missing',
  ERR_OSSL_UNSUPPORTED: 'the file key_file holds no private key that can be used',
  ERR_OSSL_X509_KEY_VALUES_MISMATCH: 'the private key in key_file does not belong to the certificate in crt_file',
  ERR_OSSL_PEM_NO_START_LINE: 'the file crt_file or key_file is no PEM',
};

function blockReason(code: string): string | undefined {
  const known = blockReasons[code] ?? tlsReasons[code];
  if (known !== undefined) return known;
  if (/^(?:ERR_TLS|CERT)_/.test(code) || certificateCodes.includes(code)) return 'the certificate is not trusted';
  if (/^ERR_O?SSL/.test(code)) return 'the TLS handshake failed';
  return undefined;
}
