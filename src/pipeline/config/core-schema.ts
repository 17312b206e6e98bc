// The keys that every config and every sink has, as schemas with descriptions: the checks, config.schema.json and
// docs/configuration.md are all made from them. Names and meanings are Vector's where Vector has the key; defaults
// differ where a durable buffer asks for it, and say why.

import { z } from 'zod';
import { type Address, address, byteSize, hostPath, seconds } from '../contract/values.ts';

type Switch = boolean | { readonly enabled?: boolean | undefined };

/** What {@link sinkSchema} gives: times in milliseconds, sizes in bytes. */
export interface SinkKeys {
  readonly start_at: 'oldest' | 'newest';
  readonly acknowledgements?: Switch | undefined;
  readonly request: RequestKeys;
  readonly batch: { readonly max_bytes: number; readonly max_events: number; readonly timeout_secs: number };
  readonly healthcheck?: Switch | undefined;
  readonly on_blocked: 'wait' | 'dead_letter';
  readonly dead_letters: boolean | { readonly path?: string | undefined; readonly max_size: number };
}

interface RequestKeys {
  readonly concurrency: number;
  readonly timeout_secs: number;
  readonly rate_limit_num: number;
  readonly rate_limit_duration_secs: number;
  readonly retry_attempts: number;
  readonly retry_initial_backoff_secs: number;
  readonly retry_max_duration_secs: number;
  readonly retry_jitter_mode: 'full' | 'none';
  readonly headers: Readonly<Record<string, string>>;
}

/** What {@link topSchema} gives. */
export interface TopKeys {
  readonly data_dir: string;
  readonly health?: { readonly address: Address } | undefined;
  readonly telemetry?:
    | { readonly otlp?: { readonly endpoint: string } | undefined; readonly span_ratio: number }
    | undefined;
  readonly shutdown_timeout_secs: number;
  readonly acknowledgements?: Switch | undefined;
  readonly healthchecks: { readonly enabled: boolean; readonly require_healthy: boolean };
}

function isHttpUrl(text: string): boolean {
  return /^https?:\/\//.test(text) && URL.canParse(text);
}

/** Vector writes 9223372036854775807 for "no limit": numbers that large mean the same here. */
function countWithoutLimit(min: number, description: string): z.ZodType<number, number | undefined> {
  return z
    .number()
    .min(min)
    .refine((value) => Number.isInteger(value), 'expected a whole number')
    .transform((value) => (value > Number.MAX_SAFE_INTEGER ? Number.POSITIVE_INFINITY : value))
    .default(Number.POSITIVE_INFINITY)
    .describe(description);
}

const acknowledgements: z.ZodType<Switch> = z
  .union([z.boolean(), z.strictObject({ enabled: z.boolean().optional().describe('As the short form.') })])
  .describe(
    'Sources answer only when every buffer behind them has what they took. `true` asks that this survives the ' +
      'process, so it is refused where a buffer in memory feeds the sink. ' +
      '`false` changes nothing: sources wait in any case.',
  );

/** RFC 9110: a token. */
const headerName = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

const requestSchema: z.ZodType<RequestKeys, object | undefined> = z.strictObject({
  concurrency: z
    .union([z.literal('none'), z.int().min(1).max(1024)])
    .transform((value) => (value === 'none' ? 1 : value))
    .prefault(1)
    .describe('Batches on their way at once. 1, or `none`, keeps strict order.'),
  timeout_secs: seconds({ min: 0.001 }).prefault(60).describe('How long a sink waits for the answer to a batch.'),
  rate_limit_num: countWithoutLimit(1, 'Most batches in `rate_limit_duration_secs`. No limit by default.'),
  rate_limit_duration_secs: seconds({ min: 0.001 }).prefault(1).describe('The time that `rate_limit_num` counts in.'),
  retry_attempts: countWithoutLimit(
    0,
    'Tries after the first before a batch that might still get through goes to the dead letters. No limit by default.',
  ),
  retry_initial_backoff_secs: seconds({ min: 0.001 }).prefault(1).describe('The wait before the second try.'),
  retry_max_duration_secs: seconds({ min: 0.001 }).prefault(30).describe('The longest wait between two tries.'),
  retry_jitter_mode: z
    .enum(['full', 'none', 'Full', 'None'])
    .transform((value) => (value.toLowerCase() === 'none' ? 'none' : 'full'))
    .prefault('full')
    .describe(
      '`full`: a random wait up to the backoff, so that many senders do not come back at once; `none`: all of it.',
    ),
  headers: z
    .record(
      z.string().refine((name) => headerName.test(name), 'expected the name of an HTTP header'),
      z
        .string()
        .refine((value) => !/[\r\n\0]/.test(value), 'expected a header value on one line')
        .refine(
          (value) => !value.includes('{{'),
          'templates such as {{ field }} are not filled in; expected plain text',
        )
        .meta({ format: 'secret' }),
    )
    .prefault({})
    .describe('HTTP headers of each request, for sinks that speak HTTP. Values are never printed.'),
});

const batchSchema: z.ZodType<SinkKeys['batch'], object | undefined> = z.strictObject({
  max_bytes: byteSize({ min: 1 })
    .prefault('4MiB')
    .describe(
      'A batch is not joined beyond this many bytes, before compression. The default fits what receivers usually ' +
        'take: 4 MiB by gRPC, 20 MiB by HTTP.',
    ),
  max_events: z
    .int()
    .min(1)
    .default(Number.POSITIVE_INFINITY)
    .describe('A batch is not joined beyond this many events. No limit by default.'),
  timeout_secs: seconds()
    .prefault(0)
    .describe(
      'How long the first record of a batch waits for company while the sink is free. The default is not to wait: ' +
        'batches form in the buffer while the one before is under way, so they are large exactly when it matters.',
    ),
});

const healthcheck: z.ZodType<Switch> = z
  .union([z.boolean(), z.strictObject({ enabled: z.boolean().default(true).describe('Whether to ask.') })])
  .describe(
    'Whether the sink is asked at start if its peer is there. A peer that is away is reported, not waited for.',
  );

const deadLettersSchema: z.ZodType<Exclude<SinkKeys['dead_letters'], boolean>, object> = z.strictObject({
  path: hostPath().optional().describe('The file. `<data_dir>/dead_letters/<id>.jsonl` by default.'),
  max_size: byteSize({ min: 4096 })
    .prefault('64MiB')
    .describe('How large the file may become. When it is full the sink is blocked until somebody moves it away.'),
});

/** Keys of a sink that are not its plugin's. `type`, `inputs` and `buffer` are read by hand: they point elsewhere. */
export const sinkSchema: z.ZodType<SinkKeys> = z.strictObject({
  start_at: z
    .enum(['oldest', 'newest'])
    .default('oldest')
    .describe(
      'Where a sink begins that its buffer does not know yet: with the oldest record still there, or with what comes.',
    ),
  acknowledgements: acknowledgements.optional(),
  request: requestSchema.prefault({}).describe('How batches are sent, and sent again.'),
  batch: batchSchema.prefault({}).describe('How records become batches.'),
  healthcheck: healthcheck.optional(),
  on_blocked: z
    .enum(['wait', 'dead_letter'])
    .default('wait')
    .describe(
      'While nothing gets through until somebody acts (an expired token, a wrong route): `wait` keeps everything in ' +
        'the buffer; `dead_letter` moves it to the dead letters.',
    ),
  dead_letters: z
    .union([z.boolean(), deadLettersSchema])
    .prefault({})
    .describe('Where goes what the peer refuses for what it says. `false`: it is counted, logged and gone.'),
});

/** Keys at the top that hold no components. */
export const topSchema: z.ZodType<TopKeys> = z.strictObject({
  data_dir: hostPath().describe(
    'The directory of all buffers and of what sources remember. Relative to the config file. It has no default: ' +
      'where the data is should not depend on where a program was started.',
  ),
  health: z
    .strictObject({ address: address().describe('Where to listen: `127.0.0.1:8686`.') })
    .optional()
    .describe('Answers `/healthz`, `/readyz`, `/status` and `/metrics` over HTTP. Off by default.'),
  telemetry: z
    .strictObject({
      otlp: z
        .strictObject({
          endpoint: z
            .string()
            .refine(isHttpUrl, 'expected a URL such as http://127.0.0.1:4318')
            .describe('The collector. Other settings are the variables of the SDK, `OTEL_EXPORTER_OTLP_*`.'),
        })
        .optional()
        .describe(
          'Metrics, and spans, by OTLP. Needs `@opentelemetry/sdk-node`. By default where ' +
            '`OTEL_EXPORTER_OTLP_ENDPOINT` says, if it is set.',
        ),
      span_ratio: z
        .number()
        .min(0)
        .max(1)
        .default(0)
        .describe('Of how many commits and deliveries a span is made: 0.01 is one in a hundred. None by default.'),
    })
    .optional()
    .describe('What the pipeline tells of itself. `/metrics` needs nothing of it.'),
  shutdown_timeout_secs: seconds()
    .prefault(60)
    .describe('How long a graceful stop waits for sinks with a batch in their hands.'),
  acknowledgements: acknowledgements.optional(),
  healthchecks: z
    .strictObject({
      enabled: z.boolean().default(true).describe('Whether sinks are asked at start. A sink can say no for itself.'),
      require_healthy: z
        .boolean()
        .default(false)
        .describe('Whether the pipeline ends if a sink is not healthy at start.'),
    })
    .prefault({})
    .describe('Health checks of all sinks.'),
});
