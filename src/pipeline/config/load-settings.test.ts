import { expect, it } from 'vitest';
import { issuesOf, load, stubBuiltins, withSink } from '../../../test/config-rig.ts';
import { defineSink } from '../contract/definition.ts';
import { z } from '../contract/index.ts';
import { hostPath } from '../contract/values.ts';

it('fills in every default', async () => {
  const { settings, warnings } = await load(withSink('url: http://store:80'));
  expect(warnings).toEqual([]);
  expect(settings.dataDir).toBe('/etc/spillway/data');
  expect(settings.health).toBeUndefined();
  expect(settings.shutdownTimeoutMs).toBe(60_000);
  expect(settings.telemetry).toEqual({ otlpEndpoint: undefined, spanRatio: 0 });
  expect(settings.buffers).toMatchObject([
    { id: 'out', stages: [{ definition: { type: 'disk' }, options: { max_size: 2 ** 28, when_full: 'block' } }] },
  ]);
  expect(settings.sinks).toMatchObject([{ id: 'out', inputs: ['in'], buffer: 'out', startAt: 'oldest' }]);
  expect(settings.sinks[0]?.options).toEqual({ url: 'http://store:80', mode: 'append', every_secs: 5_000, tags: [] });
  expect(settings.sinks[0]?.delivery).toEqual({
    batch: { maxBytes: 4 * 2 ** 20, maxEvents: Number.POSITIVE_INFINITY, timeoutMs: 0 },
    request: {
      concurrency: 1,
      timeoutMs: 60_000,
      headers: {},
      rateLimit: undefined,
      retryAttempts: Number.POSITIVE_INFINITY,
      retryInitialBackoffMs: 1_000,
      retryMaxBackoffMs: 30_000,
      retryJitter: 'full',
    },
    healthcheck: { enabled: true, isRequired: false },
    onBlocked: 'wait',
    deadLetters: { path: '/etc/spillway/data/dead_letters/out.jsonl', maxBytes: 64 * 2 ** 20 },
  });
});

it('takes where its own telemetry goes, and refuses what is no place', async () => {
  const withTelemetry = (keys: string): string => `telemetry: ${keys}\n${withSink('url: http://store')}`;
  const { settings } = await load(withTelemetry('{ otlp: { endpoint: "https://collector:4318" }, span_ratio: 0.01 }'));
  expect(settings.telemetry).toEqual({ otlpEndpoint: 'https://collector:4318', spanRatio: 0.01 });
  expect(await issuesOf(withTelemetry('{ otlp: { endpoint: "collector:4318" }, span_ratio: 5 }'))).toEqual([
    '1:32 telemetry.otlp.endpoint: expected a URL such as http://127.0.0.1:4318; found "collector:4318"',
    '1:64 telemetry.span_ratio: expected at most 1; found 5',
  ]);
});

it('lists everything that is wrong, in the order of the file', async () => {
  const text = withSink('urll: http://store\nrequest: { timeout_sec: 5, retry_attempts: -1 }').replace('[in]', '[inn]');
  expect(await issuesOf(text)).toEqual([
    '5:3 sinks.out.url: the key "url" is missing; expected text (Where it is)',
    '7:14 sinks.out.inputs[0]: there is no source "inn"; did you mean "in"?',
    '8:5 sinks.out.urll: a sink of type "store" has no such key; did you mean "url"?',
    '9:16 sinks.out.request.timeout_sec: "request" has no such key; did you mean "timeout_secs"?',
    '9:48 sinks.out.request.retry_attempts: expected at least 0; found -1',
  ]);
});

it('starts paths at the folder of the config, wherever the program was started', async () => {
  const schema = z.strictObject({
    path: hostPath(),
    include: z.array(hostPath()),
    tls: z.strictObject({ ca_file: hostPath().optional() }),
    name: z.string(),
  });
  const own = defineSink({ type: 'own', schema, create: () => Promise.reject(new Error('not made')) });
  const lines =
    'path: ./out/\ninclude: ["logs/*.log", /var/log/x, "${DIR}/y"]\ntls: { ca_file: ../ca.pem }\nname: ./out';
  const text = withSink(`${lines}\ndead_letters: { path: letters.jsonl }`, 'own');
  const { settings } = await load(text, { builtins: { ...stubBuiltins, sinks: [own] }, env: { DIR: 'here' } });
  expect(settings.sinks[0]?.options).toEqual({
    path: '/etc/spillway/out/',
    include: ['/etc/spillway/logs/*.log', '/var/log/x', '/etc/spillway/here/y'],
    tls: { ca_file: '/etc/ca.pem' },
    name: './out',
  });
  expect(settings.sinks[0]?.delivery.deadLetters?.path).toBe('/etc/spillway/letters.jsonl');
});
