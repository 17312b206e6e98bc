import { expect, it } from 'vitest';
import { networkFailure } from './network-failure.ts';

function coded(code: string, more: object = {}): Error {
  return Object.assign(new Error('secret words'), { code, ...more });
}

it.each(['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'EAI_AGAIN', 'EHOSTUNREACH'])(
  '%s passes when the peer is back',
  (code) => {
    expect(networkFailure(coded(code), 'peer:1')).toMatchObject({ kind: 'retryable' });
  },
);

it.each([
  'ENOTFOUND',
  'EACCES',
  'EPROTO',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'CERT_HAS_EXPIRED',
  'ERR_SSL_WRONG_VERSION_NUMBER',
  'ERR_OSSL_PEM_NO_START_LINE',
])('%s waits for somebody', (code) => {
  expect(networkFailure(coded(code), 'peer:1')).toMatchObject({ kind: 'blocked' });
});

it('names the peer and the code, and not what the error says', () => {
  const { reason } = networkFailure(coded('ECONNRESET'), 'peer:1') ?? { reason: '' };
  expect(reason).toBe('peer:1: the connection was reset (ECONNRESET)');
});

it.each([
  ['ERR_SSL_WRONG_VERSION_NUMBER', 'no TLS'],
  ['ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED', 'crt_file'],
  ['ERR_SSL_TLSV1_ALERT_UNKNOWN_CA', 'our certificate'],
  ['ERR_OSSL_BAD_DECRYPT', 'key_pass'],
  ['ERR_OSSL_X509_KEY_VALUES_MISMATCH', 'does not belong to'],
  ['ERR_OSSL_PEM_NO_START_LINE', 'PEM'],
  ['ERR_TLS_CERT_ALTNAME_INVALID', 'not trusted: it is for another name'],
  ['CERT_HAS_EXPIRED', 'not trusted: it has expired'],
])('%s says what to look at: %s', (code, words) => {
  expect(networkFailure(coded(code), 'peer:1')).toEqual({
    kind: 'blocked',
    reason: expect.stringMatching(`^peer:1: the .*${words}.* \\(${code}\\)$`),
  });
});

it('looks into causes and into the errors of several addresses', () => {
  const inner = new Error('failed', { cause: coded('ECONNREFUSED') });
  expect(networkFailure(inner, 'p')?.reason).toContain('ECONNREFUSED');
  const several = new AggregateError([new Error('none'), coded('EHOSTUNREACH'), coded('ECONNREFUSED')], 'all');
  expect(networkFailure(several, 'p')?.reason).toContain('EHOSTUNREACH');
});

it.each([undefined, 'ECONNRESET', new Error('plain'), coded('ERR_INVALID_ARG_TYPE'), new TypeError('x')])(
  'is not %s',
  (cause) => {
    expect(networkFailure(cause, 'p')).toBeUndefined();
  },
);
