// Sink blocks with the option names and values that Vector's reference documents for its sinks. What is a key of all
// sinks means here what it means there; the options of each type are stood in for where we have no such sink.

import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { load, stubBuiltins } from '../../../test/config-rig.ts';
import { mismatch } from '../../../test/json-schema-check.ts';
import { defineSink } from '../contract/definition.ts';
import { z } from '../contract/index.ts';
import type { DeliverySettings } from '../contract/settings.ts';
import { configJsonSchema } from './json-schema.ts';

interface Block {
  readonly type: string;
  readonly lines: string;
  /** Of the delivery settings, what the block says. */
  readonly delivery?: { readonly [Key in keyof DeliverySettings]?: Partial<DeliverySettings[Key]> | undefined };
  /** `[type, options]` of each stage. */
  readonly buffer?: readonly unknown[];
}

const unlimited = '9223372036854775807';

const blocks: readonly Block[] = [
  {
    type: 'http',
    lines: `
      uri: https://10.22.212.22:9000/endpoint
      method: post
      encoding: { codec: json }
      compression: gzip
      batch: { max_bytes: 10000000, timeout_secs: 1 }
      request:
        concurrency: 5
        headers: { Accept: text/plain, X-My-Custom-Header: A-Value }
        rate_limit_duration_secs: 1
        rate_limit_num: ${unlimited}
        retry_attempts: ${unlimited}
        retry_initial_backoff_secs: 1
        retry_max_duration_secs: 30
        retry_jitter_mode: Full
        timeout_secs: 30`,
    delivery: {
      batch: { maxBytes: 10_000_000, timeoutMs: 1_000 },
      request: {
        concurrency: 5,
        headers: { Accept: 'text/plain', 'X-My-Custom-Header': 'A-Value' },
        rateLimit: undefined,
        retryAttempts: Number.POSITIVE_INFINITY,
        retryInitialBackoffMs: 1_000,
        retryMaxBackoffMs: 30_000,
        retryJitter: 'full',
        timeoutMs: 30_000,
      },
    },
  },
  {
    type: 'elasticsearch',
    lines: `
      endpoints: ["http://10.24.32.122:9000", "https://user:password@example.com"]
      api_version: auto
      mode: bulk
      bulk: { action: index, index: "application-{{ application_id }}-%Y-%m-%d" }
      buffer: { type: disk, max_size: 268435488, when_full: block }
      acknowledgements: { enabled: true }`,
    buffer: [['disk', { max_size: 268_435_488, when_full: 'block' }]],
  },
  {
    type: 'loki',
    lines: `
      endpoint: http://localhost:3100
      labels: { source: vector, "{{ key }}": "{{ value }}" }
      out_of_order_action: accept
      batch: { max_bytes: 1000000, max_events: 100000, timeout_secs: 1.0 }
      healthcheck: { enabled: false }`,
    delivery: {
      batch: { maxBytes: 1_000_000, maxEvents: 100_000, timeoutMs: 1_000 },
      healthcheck: { enabled: false, isRequired: false },
    },
  },
  {
    type: 'kafka',
    lines: `
      bootstrap_servers: 10.14.22.123:9092,10.14.23.332:9092
      topic: topic-1234
      encoding: { codec: json }
      rate_limit_num: 1000
      buffer:
        type: memory
        max_events: 500
        when_full: drop_newest`,
    buffer: [['memory', { max_events: 500, when_full: 'drop_newest' }]],
  },
  {
    type: 'redis',
    lines: `
      endpoint: redis://127.0.0.1:6379/0
      key: vector
      data_type: list
      list_option: { method: lpush }
      batch: { max_events: 1 }
      request: { concurrency: none }`,
    delivery: { batch: { maxEvents: 1 }, request: { concurrency: 1 } },
  },
  {
    type: 'nats',
    lines: `
      url: nats://demo.nats.io
      subject: "{{ host }}"
      encoding: { codec: text }
      request: { rate_limit_num: 5, rate_limit_duration_secs: 10 }`,
    delivery: { request: { rateLimit: { requests: 5, intervalMs: 10_000 } } },
  },
  {
    type: 'aws_s3',
    lines: `
      bucket: my-bucket
      region: us-east-1
      key_prefix: date=%F/
      compression: gzip
      batch: { max_bytes: 10000000, timeout_secs: 300.0 }
      request: { retry_jitter_mode: None, retry_attempts: 10 }`,
    delivery: { batch: { timeoutMs: 300_000 }, request: { retryJitter: 'none', retryAttempts: 10 } },
  },
  {
    type: 'clickhouse',
    lines: `
      endpoint: http://localhost:8123
      database: mydatabase
      table: mytable
      buffer:
        - type: memory
          max_size: 1073741824
          when_full: overflow
        - type: disk
          max_size: 1073741824
          when_full: drop_newest`,
    buffer: [
      ['memory', { max_events: 500, max_size: 2 ** 30, when_full: 'block' }],
      ['disk', { max_size: 2 ** 30, when_full: 'drop_newest' }],
    ],
  },
  {
    type: 'influxdb_logs',
    lines: `
      endpoint: http://localhost:8086/
      measurement: vector-logs
      bucket: vector-bucket
      healthcheck: false`,
    delivery: { healthcheck: { enabled: false, isRequired: false } },
  },
  {
    type: 'splunk_hec_logs',
    lines: `
      endpoint: https://http-inputs-hec.splunkcloud.com
      default_token: "\${SPLUNK_HEC_TOKEN}"
      acknowledgements: { enabled: true, indexer_acknowledgements_enabled: true }
      encoding: { codec: json }`,
  },
  {
    type: 'socket',
    lines: `
      mode: tcp
      address: 92.12.333.224:5000
      encoding: { codec: json }
      acknowledgements: true
      buffer: { type: disk, max_size: 5368709120 }`,
    buffer: [['disk', { max_size: 5 * 2 ** 30, when_full: 'block' }]],
  },
  {
    type: 'prometheus_remote_write',
    lines: `
      endpoint: https://localhost:8087/api/v1/write
      default_namespace: service
      request: { timeout_secs: 60, retry_max_duration_secs: 30, headers: {} }
      healthcheck: { enabled: true }`,
    delivery: { request: { timeoutMs: 60_000 }, healthcheck: { enabled: true, isRequired: true } },
  },
  {
    type: 'console',
    lines: `
      encoding: { codec: json }`,
    buffer: [['disk', { max_size: 2 ** 28, when_full: 'block' }]],
  },
];

const builtins = {
  ...stubBuiltins,
  sinks: [
    ...stubBuiltins.sinks,
    ...blocks
      .filter(({ type }) => type !== 'console')
      .map(({ type }) =>
        defineSink({ type, schema: z.looseObject({}), create: () => Promise.reject(new Error('not made')) }),
      ),
  ],
};

function textOf({ type, lines }: Block): string {
  return `
data_dir: /var/lib/vector
healthchecks: { enabled: true, require_healthy: ${type === 'prometheus_remote_write'} }
sources:
  my-source-or-transform-id: { type: stdin }
sinks:
  my_sink_id:
      type: ${type}
      inputs:
      - my-source-or-transform-id${lines}
`;
}

describe('the block of', () => {
  it.each(blocks.filter(({ type }) => type !== 'splunk_hec_logs'))(
    '$type means what it means in Vector',
    async (block) => {
      const { settings, warnings } = await load(textOf(block), { builtins });
      expect(warnings).toEqual([]);
      expect(settings.dataDir).toBe('/var/lib/vector');
      const [sink] = settings.sinks;
      expect(sink).toMatchObject({ id: 'my_sink_id', inputs: ['my-source-or-transform-id'], startAt: 'oldest' });
      expect(sink?.delivery).toMatchObject(block.delivery ?? {});
      const stages = settings.buffers[0]?.stages.map(({ definition: { type }, options }) => [type, options]);
      if (block.buffer !== undefined) expect(stages).toEqual(block.buffer);
    },
  );

  it.each(blocks.filter(({ type }) => type !== 'splunk_hec_logs'))('$type is what an editor accepts', (block) => {
    expect(mismatch(configJsonSchema(builtins), parse(textOf(block)))).toBeUndefined();
  });

  it('splunk_hec_logs has one key that is refused by name', async () => {
    const block = blocks.find(({ type }) => type === 'splunk_hec_logs') as Block;
    const error = await load(textOf(block), { builtins, env: { SPLUNK_HEC_TOKEN: 'hunter2' } }).catch(
      (reason: unknown) => reason,
    );
    expect(error).toMatchObject({
      issues: [{ path: 'sinks.my_sink_id.acknowledgements.indexer_acknowledgements_enabled' }],
    });
    expect(String(error)).not.toContain('hunter2');
  });
});
