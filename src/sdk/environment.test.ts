import { describe, expect, it } from 'vitest';
import { type Environment, readVariables } from './environment.ts';

function read(environment: Environment): { readonly found: ReturnType<typeof readVariables>; readonly said: string[] } {
  const said: string[] = [];
  return { found: readVariables('traces', environment, (message) => said.push(message)), said };
}

describe('the variables', () => {
  it('say nothing when they are not set, or empty', () => {
    const { found, said } = read({ OTEL_EXPORTER_OTLP_ENDPOINT: ' ', OTEL_EXPORTER_OTLP_TIMEOUT: '' });
    expect(found).toEqual({ headers: {} });
    expect(said).toEqual([]);
  });

  it('of a signal go before the common ones', () => {
    const { found } = read({
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://common:4318/',
      OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'https://own/path',
      OTEL_EXPORTER_OTLP_TIMEOUT: '1000',
      OTEL_EXPORTER_OTLP_TRACES_TIMEOUT: '2000',
      OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip',
      OTEL_EXPORTER_OTLP_TRACES_COMPRESSION: 'none',
      OTEL_EXPORTER_OTLP_HEADERS: 'a=1,b=2',
      OTEL_EXPORTER_OTLP_TRACES_HEADERS: 'b=3',
      OTEL_EXPORTER_OTLP_CERTIFICATE: '/common.pem',
      OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE: '/own.pem',
      OTEL_EXPORTER_OTLP_CLIENT_KEY: '/key.pem',
      OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE: '/client.pem',
      OTEL_EXPORTER_OTLP_LOGS_TIMEOUT: '9',
    });
    expect(found).toEqual({
      url: 'https://own/path',
      headers: { a: '1', b: '3' },
      timeoutMillis: 2_000,
      compression: 'none',
      caFile: '/own.pem',
      certFile: '/client.pem',
      keyFile: '/key.pem',
    });
  });

  it.each([
    ['http://collector:4318', 'http://collector:4318/v1/traces'],
    ['http://collector:4318/', 'http://collector:4318/v1/traces'],
    ['http://collector/base', 'http://collector/base/v1/traces'],
  ])('take %s as a base', (endpoint, url) => {
    expect(read({ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint }).found.url).toBe(url);
  });

  it('hold headers as pairs, percent-encoded', () => {
    const headers = 'Authorization=Basic%20abc%3D%3D, x-tenant = a;ignored=yes ,, =nameless, empty=, bare';
    expect(read({ OTEL_EXPORTER_OTLP_HEADERS: headers }).found.headers).toEqual({
      authorization: 'Basic abc==',
      'x-tenant': 'a',
    });
  });

  it('that are of no use are said and passed over', () => {
    const { found, said } = read({
      OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4318',
      OTEL_EXPORTER_OTLP_TIMEOUT: '-1',
      OTEL_EXPORTER_OTLP_TRACES_TIMEOUT: 'soon',
      OTEL_EXPORTER_OTLP_COMPRESSION: 'brotli',
      OTEL_EXPORTER_OTLP_HEADERS: 'a=%',
    });
    expect(found).toEqual({ headers: {} });
    expect(said.map((message) => message.split(' ')[0])).toEqual([
      'OTEL_EXPORTER_OTLP_ENDPOINT',
      'OTEL_EXPORTER_OTLP_HEADERS',
      'OTEL_EXPORTER_OTLP_TRACES_TIMEOUT',
      'OTEL_EXPORTER_OTLP_TIMEOUT',
      'OTEL_EXPORTER_OTLP_COMPRESSION',
    ]);
  });
});
