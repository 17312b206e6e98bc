import { expect, it } from 'vitest';
import { switchableTlsOptions, tlsOptions } from './tls.ts';

it.each([
  [{ crt_file: 'own.pem' }, 'key_file'],
  [{ key_file: 'own.key' }, 'crt_file'],
  [{ key_pass: 'word' }, 'key_file'],
])('half of what shows a certificate is refused, not passed over: %j', (given, missing) => {
  const said = (given: object): readonly (readonly [string, string])[] =>
    [tlsOptions(), switchableTlsOptions({ enabledByDefault: true })].flatMap((schema) =>
      (schema.safeParse(given).error?.issues ?? []).map(({ path, message }) => [path.join('.'), message] as const),
    );
  expect(said(given)).toEqual([
    [missing, expect.stringMatching(/^expected the/)],
    [missing, expect.stringMatching(/^expected the/)],
  ]);
});

it.each([
  {},
  { ca_file: 'ca.pem' },
  { crt_file: 'own.pem', key_file: 'own.key' },
  { crt_file: 'both.pem', key_file: 'both.pem', key_pass: 'word' },
])('%j is taken', (given) => {
  expect(tlsOptions().safeParse(given).error).toBeUndefined();
});

it('half of what shows a certificate is no mistake where TLS is off', () => {
  const schema = switchableTlsOptions({ enabledByDefault: true });
  expect(schema.safeParse({ enabled: false, crt_file: 'own.pem' }).error).toBeUndefined();
});
