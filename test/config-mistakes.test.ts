// What a newcomer gets wrong in a config, and what is said of it: one sentence with the line, and no stack or secret.
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ConfigError } from '../src/base/errors.ts';
import { loadSettings } from '../src/pipeline/config/load-settings.ts';
import { NodeHostFiles } from '../src/platform/node-host-files.ts';
import { brief } from './config-rig.ts';
import { root } from './tidy/source.ts';

const env = { NUMBER: '5', HIDDEN: 'hunter2' };

async function said(text: string): Promise<string> {
  const request = { file: join(root, 'mistake.yaml'), text, env, files: new NodeHostFiles() };
  const { issues } = await loadSettings(request).then(
    ({ warnings }) => ({ issues: warnings }),
    (error: ConfigError) => error,
  );
  return issues.map(brief).join('\n');
}

const source = (keys: string): string =>
  `data_dir: d\nsources: { in: { ${keys} } }\nsinks: { out: { type: blackhole, inputs: [in] } }`;
const sink = (keys: string): string =>
  `data_dir: d\nsources: { in: { type: otlp } }\nsinks: { out: { inputs: [in], ${keys} } }`;

type Mistakes = readonly (readonly [keys: string, sentence: string])[];

const inSources: Mistakes = [
  ['type: otlp, address: 4318', 'sources.in.address: expected host:port such as 127.0.0.1:4318; found 4318'],
  ['type: otlp, address: "http://h:1"', 'expected host:port such as 127.0.0.1:4318 or [::1]:4318'],
  ['type: otlp, address: "127.0.0.1:${PORT}"', 'the variable PORT is not set; set it, or give a default'],
  ['type: otlp, grpc: { address: "h:1" }', 'OTLP comes by HTTP; use "address", usually with port 4318'],
  ['type: oltp', 'there is no source "oltp", neither built in nor as a plugin that is installed; did you mean "otlp"?'],
  ['type: file, include: /var/log/x', 'expected a list; found "/var/log/x"; a list of one stands in [ ], too'],
  ['type: file, path: [/var/log/x]', 'a source of type "file" has no such key; did you mean "include"?'],
  ['type: file, include: []', 'expected at least 1 item; found an empty list'],
  ['type: generate, rate: 10/s', 'expected a number; found "10/s"; write a number alone, without a unit'],
  ['type: file, include: [~/x.log]', 'sources.in.include[0]: expected a path from / on'],
  ['type: otlp, insecure: yes', 'expected true or false; found "yes"; YAML 1.2 knows true and false only'],
];

const inSinks: Mistakes = [
  [
    'type: blackhole, batch: { timeout: 5 }',
    'sinks.out.batch.timeout: "batch" has no such key; did you mean "timeout_secs"?',
  ],
  ['type: blackhole, batch: { timeout_secs: 5s }', 'expected a number of seconds; found "5s"; write a number alone'],
  ['type: blackhole, batch: { max_events: "5" }', 'expected a number; found "5"; write 5 without quotes'],
  ['type: blackhole, batch: { max_size: 5 }', '"batch" has no such key; did you mean "max_bytes"?'],
  ['type: blackhole, batch: { concurrency: 5 }', '"batch" has no such key; it belongs under "request"'],
  ['type: blackhole, retry_attempts: 5', 'has no such key; it belongs under "request"'],
  ['type: blackhole, timeout_secs: 5', 'has no such key; it belongs under "request" or "batch"'],
  ['type: blackhole, when_full: block', 'has no such key; it belongs under "buffer"'],
  ['type: otlp, endpoint: "http://h", request: { token: a }', 'it belongs beside "request", not under it'],
  ['type: blackhole, bufer: disk', 'has no such key; did you mean "buffer"?'],
  ['type: blackhole, buffer: disk', 'a buffer of the sink\'s own is written as "buffer: { type: disk }"'],
  ['type: blackhole, buffer: { max_size: 1G }', 'expected a size such as 256MiB'],
  ['type: blackhole, buffer: { type: disk, sync: true }', 'did you mean "durability"?'],
  ['type: blackhole, frobnicate: 1', 'has no such key; it has print_interval_secs, rate, and what all sinks have'],
  ['type: console, encoding: json', 'expected a map with codec; found "json"'],
  ['type: amqp', 'what Vector calls "amqp" is called "rabbitmq" here'],
  ['type: rabitmq', 'did you mean "rabbitmq"?'],
  ['type: elasticsearch', 'the package spillway-elasticsearch is not installed'],
  ['type: otlp, endpoint: "collector:4318"', 'expected a URL with http:// or https://'],
  [
    'type: otlp, endpoint: "${HIDDEN}"',
    'expected a URL with http:// or https://, such as http://127.0.0.1:4318; found <from $HIDDEN>',
  ],
  ['type: otlp, endpoint: "http://h", protocol: { type: http }', 'OTLP goes by HTTP; use "endpoint"'],
  ['type: otlp, endpoint: "http://h", token: 5', 'expected text; found <secret>; put it in quotes'],
  ['type: otlp, endpoint: "http://h", headers: "Authorization: s3cret"', 'expected a map; found <secret>'],
  ['type: otlp, endpoint: "grpc://u:s3cret@h"', 'found "grpc://<secret>@h"'],
  ['type: redis, url: "http://u:s3cret@h", key: k', 'expected redis://host:port, rediss://host:port for TLS'],
  ['type: redis, key: k, host: h', 'a sink of type "redis" has no such key; did you mean "url"?'],
  ['type: redis, url: "redis://h", key: k, buffer: { type: memory }', '3:10 sinks.out.ids: keys as ids need a buffer'],
  ['type: redis, url: "redis://h", key: k, password: $HIDDEN', 'write ${HIDDEN} for the variable'],
  [
    'type: nats, url: "nats://h", subject: s, buffer: { type: memory }',
    'sinks.out.deduplicate: a stream of its own needs',
  ],
  [
    'type: nats, url: "nats://h", subject: s, auth: { strategy: token, token: s3cret }',
    'sinks.out.auth.token: expected a map with value; found <secret>',
  ],
  ['type: nats, url: "nats://h", subject: s, jetstream: true', 'the sink speaks to nothing else; remove it'],
  ['type: postgres, table: t, database: db', 'did you mean "endpoint"?'],
  [
    'type: postgres, table: t',
    'the key "endpoint" is missing; expected text, or the key "endpoint_file" (The server: `',
  ],
  ['type: mqtt, host: h, port: "1883", topic: t', 'expected a number; found "1883"; write 1883 without quotes'],
  ['type: mqtt, host: h, topic: t, qos: 1', 'did you mean "quality_of_service"?'],
  ['type: mqtt, host: h, topic: t, quality_of_service: 0', 'what is sent with atmostonce is never acknowledged'],
  ['type: rabbitmq, url: "amqp://u:s3cret@h", queue: q', 'did you mean "connection_string"?'],
  ['type: syslog, address: "h:514"', 'takes logs only, and rejects what else comes: traces and metrics from "in"'],
  ['type: syslog, host: h', 'did you mean "address"?'],
  ['type: blackhole, timeout: 5', 'did you mean "timeout_secs"? it belongs under "request" or "batch"'],
  ['type: file, file: x', 'a sink of type "file" has no such key; did you mean "path"?'],
  ['type: otlphttp', 'what the Collector calls "otlphttp" is called "otlp" here'],
  ['type: blackhole, request: { rate_limit_num: 0 }', 'sinks.out.request.rate_limit_num: expected at least 1; found 0'],
  ['type: blackhole, buffer: { lock_timeout_secs: 3000000 }', 'expected at most 2147483; found 3000000'],
  ['type: otlp, endpoint: "http://h", tls: { ca_file: a.pem }', 'sinks.out.tls: needs an endpoint with https://'],
  ['type: otlp, endpoint: "u:s3cret@h"', 'found "<secret>@h"'],
  ['type: otlp, endpoint: "ftp://u:s3/cret@h"', 'found "ftp://<secret>@h"'],
  ['type: file, path: ~/out.jsonl', '~ is not understood: use ${HOME}; found "~/out.jsonl"'],
  [
    'type: nats, url: "nats://h", subject: s, auth: { strategy: nkey, nkey: { seed: s3cret } }',
    'sinks.out.auth.nkey.seed: expected a seed, SU and 56 more characters; found <secret>',
  ],
];

const whole: Mistakes = [
  ['', 'the config is empty; expected data_dir, sources and sinks'],
  ['data_dir:d\nsources: {}', 'a key reaches over several lines; is a ":" missing, or a quote?'],
  [
    'receivers: {}',
    'the Collector\'s key is not understood here: a config is made of sources, buffers and sinks; write "sources"',
  ],
  ['sources: { a: { type: otlp } }', 'the key "data_dir" is missing; expected a path (The directory of all buffers'],
  ['data_dir: ~/data', 'data_dir: expected a path from / on, or from the config; ~ is not understood: use ${HOME}'],
  ['data_dir: d\nsources: { 1: { type: stdin } }\nsinks: { b: { inputs: [1] } }', 'found 1; put it in quotes'],
  ['data_dir: d\nsources:\n  - type: otlp', 'sources: expected a map from ids to sources; found a list'],
  ['data_dir: d\nhealth: 127.0.0.1:8686', 'health: expected a map with address; found "127.0.0.1:8686"'],
];

async function check(text: string, sentence: string): Promise<void> {
  const told = await said(text);
  expect(told).toContain(sentence);
  expect(told).toMatch(/^\d+:\d+ /);
  expect(told).not.toMatch(/s3cret|hunter2|\n {4}at /);
}

describe('a mistake in a config', () => {
  it.each(inSources)('of a source, { %s }, is explained', (keys, sentence) => check(source(keys), sentence));

  it.each(inSinks)('of a sink, { %s }, is explained', (keys, sentence) => check(sink(keys), sentence));

  it.each(whole)('as a whole, %j, is explained', (text, sentence) => check(text, sentence));

  it('that breaks the YAML is told once', async () => {
    const text = source('type: otlp, address: ${ADDRESS}');
    expect((await said(text)).split('\n')).toEqual([
      expect.stringContaining('inside [ ] and { } a variable needs quotes: "${NAME}"'),
    ]);
  });
});
