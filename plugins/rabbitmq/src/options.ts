// The keys of a sink with `type: rabbitmq`, and what they mean.
import { seconds, secret, type Template, type TlsOptions, template, tlsOptions, z } from 'spillway/plugin';
import { shortTextBytesMax } from './amqp/wire.ts';
import { type Address, parseConnectionString } from './connection-string.ts';

export interface DeclareOptions {
  readonly exchange_type?: 'direct' | 'topic' | 'fanout' | 'headers' | undefined;
  readonly queue?: string | undefined;
  readonly queue_type: 'quorum' | 'classic';
  readonly binding_key?: string | undefined;
  readonly arguments: Readonly<Record<string, string | number | boolean>>;
}

export interface RabbitmqOptions {
  readonly connection_string: string;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly auth: 'plain' | 'external';
  readonly tls?: TlsOptions | undefined;
  readonly queue?: string | undefined;
  readonly exchange?: string | undefined;
  readonly routing_key?: Template | undefined;
  readonly declare?: DeclareOptions | undefined;
  readonly payload: 'json' | 'protobuf';
  readonly properties: {
    readonly content_type?: string | undefined;
    readonly content_encoding?: string | undefined;
    readonly priority?: number | undefined;
    readonly expiration_ms?: number | undefined;
  };
  /** Milliseconds by now, both. */
  readonly heartbeat_secs: number;
  readonly connect_timeout_secs: number;
}

/** The user that a new server has, and its password. */
const defaultLogin = 'guest';

/** What AMQP has one byte of length for. */
const shortText = z.string().min(1).refine(isShort, { error: 'expected no more than 255 bytes' });

function isShort(text: string): boolean {
  return Buffer.byteLength(text) <= shortTextBytesMax;
}

const connectionString = secret()
  .refine((text) => parseConnectionString(text) !== undefined, {
    error: 'expected amqp://user:password@host:5672/virtual-host, or amqps:// for TLS, and no ? or # behind it',
  })
  .refine((text) => isShort(parseConnectionString(text)?.virtualHost ?? ''), {
    error: 'expected a virtual host of no more than 255 bytes',
  });

const declare: z.ZodType<DeclareOptions> = z.strictObject({
  exchange_type: z
    .enum(['direct', 'topic', 'fanout', 'headers'])
    .optional()
    .describe('Type of the exchange, where `exchange` is given. Default: topic.'),
  queue: shortText.optional().describe('A queue to bind to the exchange. Default: none, somebody else binds.'),
  queue_type: z.enum(['quorum', 'classic']).default('quorum').describe('Type of the queue, which is durable.'),
  binding_key: shortText.optional().describe('What binds the queue to the exchange. Default: `#`, everything.'),
  arguments: z
    .record(shortText, z.union([z.string(), z.number(), z.boolean()]))
    .default({})
    .describe('More arguments of the queue, such as `x-max-length` and `x-overflow`.'),
});

const properties: z.ZodType<RabbitmqOptions['properties']> = z.strictObject({
  content_type: shortText.optional().describe('Default: `application/json` or `application/x-protobuf`.'),
  content_encoding: shortText.optional().describe('Default: none.'),
  priority: z.int().min(0).max(255).optional().describe('Priority of every message. Default: none.'),
  expiration_ms: z
    .int()
    .min(1)
    .max(4_294_967_295)
    .optional()
    .describe('The server drops a message that nobody has fetched for so many milliseconds. Default: never.'),
});

const keys: z.ZodType<RabbitmqOptions> = z.strictObject({
  connection_string: connectionString.describe(
    'The server: `amqp://user:password@host:5672/%2f`, `amqps://` for TLS. The path is the virtual host.',
  ),
  username: z.string().min(1).optional().describe('User, if not in the connection string. Default: guest.'),
  password: secret().optional().describe('Password, if not in the connection string. Default: that of guest.'),
  auth: z
    .enum(['plain', 'external'])
    .default('plain')
    .describe('`external`: the server takes the user from the certificate of `tls`; it needs a plugin for that.'),
  tls: tlsOptions().optional().describe('How TLS is done, with `amqps://`.'),
  queue: shortText.optional().describe('The queue that gets all messages. Either this or `exchange`.'),
  exchange: shortText.optional().describe('The exchange that messages are published to.'),
  routing_key: template()
    .optional()
    .describe(
      'Routing key, with `exchange`: `telemetry.{signal}.{resource.service.name}`. Dots in a value become `_`. ' +
        'Default: empty.',
    ),
  declare: declare
    .optional()
    .describe('Makes exchange, queue and binding, durable, where they are missing. Default: they have to be there.'),
  payload: z
    .enum(['json', 'protobuf'])
    .default('json')
    .describe('What the body of a message is: one event as an OTLP request, as JSON or as protobuf.'),
  properties: properties.prefault({}).describe('Properties of every message.'),
  heartbeat_secs: seconds({ min: 1, max: 65_535 })
    .prefault(10)
    .describe('A server that gives no sign of life for twice as long is given up. The server may want less.'),
  connect_timeout_secs: seconds({ min: 0.001 })
    .prefault(5)
    .describe('How long connecting may take, TLS, login and declarations included.'),
});

/** What each key does stands in its description; the README says what follows from it. */
export const schema: z.ZodType<RabbitmqOptions> = keys.superRefine((options, context) => {
  const refuse = (key: string, message: string): void => {
    context.addIssue({ code: 'custom', message, path: key.split('.') });
  };
  const { queue, exchange, declare: made, auth, tls } = options;
  if ((queue === undefined) === (exchange === undefined))
    refuse('exchange', 'expected exactly one of exchange and queue');
  if (queue !== undefined) {
    if (options.routing_key !== undefined) refuse('routing_key', 'expected with exchange only: a queue needs none');
    for (const key of ['exchange_type', 'queue', 'binding_key'] as const) {
      if (made?.[key] !== undefined) refuse(`declare.${key}`, 'expected with exchange only: the queue is named above');
    }
  }
  if (made?.binding_key !== undefined && made.queue === undefined && queue === undefined) {
    refuse('declare.binding_key', 'expected with declare.queue only: there is nothing to bind');
  }
  const address = parseConnectionString(options.connection_string);
  const user = options.username ?? (address?.user || defaultLogin);
  if (auth === 'plain' && user !== defaultLogin && options.password === undefined && address?.password === '') {
    refuse('password', 'expected the password of the user: only guest has one by default');
  }
  const isSecure = address?.isSecure === true;
  if (tls !== undefined && !isSecure) refuse('tls', 'expected with amqps:// only');
  if (auth === 'external' && tls?.crt_file === undefined) {
    refuse('auth', 'expected plain, or amqps:// and tls with crt_file and key_file: external needs a certificate');
  }
});

/** Where to connect, and as whom. */
export function addressOf(options: RabbitmqOptions): Address & { readonly user: string; readonly password: string } {
  const address = parseConnectionString(options.connection_string) as Address;
  return {
    ...address,
    user: options.username ?? (address.user || defaultLogin),
    password: options.password ?? (address.password || defaultLogin),
  };
}
