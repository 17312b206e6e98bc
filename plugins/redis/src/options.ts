// The keys of a sink with `type: redis`, and what they mean.
import { type Address, address, type Signal, seconds, secret, type TlsOptions, tlsOptions, z } from 'spillway/plugin';
import { companionOf } from './owned-stream.ts';
import { addressText, type NodeAddress, parseNodeAddress, parseUrl, type Server } from './server.ts';

export interface RedisOptions {
  readonly url?: string | undefined;
  readonly endpoint?: string | undefined;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly tls?: TlsOptions | undefined;
  readonly cluster: boolean;
  readonly nodes?: readonly Address[] | undefined;
  readonly node_address_map?: Readonly<Record<string, Address>> | undefined;
  readonly data_type: 'stream' | 'list';
  readonly key?: string | undefined;
  readonly stream?: string | undefined;
  readonly list?: ListOptions | undefined;
  readonly payload: 'json' | 'protobuf';
  readonly max_length?: number | undefined;
  readonly ids: 'key' | 'auto';
  readonly wait_replicas?: number | undefined;
  /** Milliseconds by now. */
  readonly connect_timeout_secs: number;
}

export interface ListOptions {
  readonly method: 'rpush' | 'lpush';
  readonly element: 'envelope' | 'request';
}

const server = secret().refine((text) => parseUrl(text) !== undefined, {
  error: 'expected redis://host:port, rediss://host:port for TLS, or unix:///path, with /<number> for a database',
});

const announced = z.string().refine((text) => parseNodeAddress(text) !== undefined, {
  error: 'expected host:port as the cluster announces it, such as 10.0.0.5:6379',
});

/** Of a template such as those of other sinks or of Vector all would end up in one key that is called like it. */
const name = z
  .string()
  .min(1)
  .refine((text) => !/\{\{|\}\}|\{(?:resource|attribute)\.|\{severity\}/.test(text.replaceAll('{signal}', '')), {
    error: 'expected a name in which {signal} is the only placeholder',
  });

const list: z.ZodType<ListOptions> = z.strictObject({
  method: z
    .enum(['rpush', 'lpush'])
    .default('rpush')
    .describe('`rpush` appends at the tail, for readers with BLPOP; `lpush` at the head, for readers with BRPOP.'),
  element: z
    .enum(['envelope', 'request'])
    .default('envelope')
    .describe(
      '`envelope`: a JSON text with `key`, `signal` and `data`; a reader can tell repeats by the key. `request`: the ' +
        'OTLP request alone.',
    ),
});

const shape = z.strictObject({
  url: server.optional().describe('The server: `redis://host:6379/0`, `rediss://` for TLS, `unix:///path`.'),
  endpoint: server.optional().describe("The same as `url`, under Vector's name."),
  username: z.string().min(1).optional().describe('User of the access control list, if not in the url.'),
  password: secret().optional().describe('Password, if not in the url.'),
  tls: tlsOptions().optional().describe('What is trusted and shown with `rediss://`.'),
  cluster: z
    .boolean()
    .default(false)
    .describe('Whether it is a Redis Cluster: then the node that has the key is looked for, and followed.'),
  nodes: z
    .array(address())
    .min(1)
    .optional()
    .describe('More nodes of the cluster to ask, `host:port`, should the one in the url not answer.'),
  node_address_map: z
    .record(announced, address())
    .optional()
    .describe('Where nodes are, by the address that they announce, if that cannot be reached from here.'),
  data_type: z
    .enum(['stream', 'list'])
    .default('stream')
    .describe(
      '`stream`: with a disk buffer every event arrives exactly once. `list`: no protection against repeats: after a ' +
        'failure events can be in the list twice.',
    ),
  key: name
    .optional()
    .describe('Name of the stream or list. `{signal}` in it becomes `logs`, `traces` or `metrics`: then there are 3.'),
  stream: name.optional().describe('The same as `key`, for a stream.'),
  list: list.optional().describe('With `data_type: list`: where and how elements are pushed.'),
  payload: z
    .enum(['json', 'protobuf'])
    .default('json')
    .describe('What `data` holds: one event as an OTLP request, as JSON or as protobuf.'),
  max_length: z
    .int()
    .min(1)
    .optional()
    .describe(
      'Keeps the newest so many after each batch: about so many of a stream (`MAXLEN ~`), exactly so many of a list ' +
        '(`LTRIM`). Older ones are gone, read or not. Default: all.',
    ),
  ids: z
    .enum(['key', 'auto'])
    .default('key')
    .describe(
      "Of streams. `key`: an entry's id is its event's key, which makes every event arrive exactly once. `auto`: the " +
        'server gives the ids; for memory buffers, and for several writers on one stream. Repeats are then possible.',
    ),
  wait_replicas: z
    .int()
    .min(1)
    .max(100)
    .optional()
    .describe(
      'A batch is delivered only when so many replicas have it, too (`WAIT`); until then it is tried again. Default: ' +
        'when the server itself has it.',
    ),
  connect_timeout_secs: seconds({ min: 0.001 })
    .prefault(5)
    .describe('How long connecting may take, TLS and authentication included.'),
});

/** What the keys say together; each with the key that is shown, and what was expected. */
const rules: readonly (readonly [key: keyof RedisOptions, expected: string, isKept: (o: RedisOptions) => boolean])[] = [
  ['url', 'expected exactly one of url and endpoint', ({ url, endpoint }) => isOneOf(url, endpoint)],
  ['key', 'expected exactly one of key and stream', ({ key, stream }) => isOneOf(key, stream)],
  [
    'stream',
    'a list is named by key, and stream by data_type: stream',
    ({ stream, data_type }) => stream === undefined || data_type === 'stream',
  ],
  ['list', 'needs data_type: list', ({ list: given, data_type }) => given === undefined || data_type === 'list'],
  [
    'payload',
    'an element with its key in it is JSON: expected list: { element: request } with payload: protobuf',
    ({ payload, data_type, list: given }) =>
      payload === 'json' || data_type === 'stream' || given?.element === 'request',
  ],
  ['tls', 'needs a url with rediss://', (options) => options.tls === undefined || isEncrypted(options)],
  ['nodes', 'needs cluster: true', ({ nodes, cluster }) => nodes === undefined || cluster],
  ['node_address_map', 'needs cluster: true', ({ node_address_map: map, cluster }) => map === undefined || cluster],
  [
    'cluster',
    'a cluster has addresses of the form host:port, and database 0 only',
    (options) => !options.cluster || isClusterUrl(options),
  ],
  [
    'cluster',
    'expected a key without }, or with a hash tag such as {app}: its companion has to be on the same node',
    (options) => !options.cluster || options.data_type === 'list' || options.ids === 'auto' || isShared(options),
  ],
];

/** What each key does stands in its description; the README says what follows from it. */
export const schema: z.ZodType<RedisOptions> = shape.superRefine((options, context) => {
  for (const [key, message, isKept] of rules) {
    if (!isKept(options)) context.addIssue({ code: 'custom', path: [key], message });
  }
});

/** Whether a stream and its companion have the same slot. A name with an empty hash tag shares it with none. */
function isShared(options: RedisOptions): boolean {
  if (!isOneOf(options.key, options.stream)) return true;
  const stream = keyOf(options, 'logs');
  return slotNameOf(companionOf(stream)) === slotNameOf(stream);
}

/** What decides about the slot of a key: what stands in its first braces, or without any all of it. */
function slotNameOf(key: string): string {
  return /^[^{]*\{([^}]+)\}/.exec(key)?.[1] ?? key;
}

function isOneOf(a: string | undefined, b: string | undefined): boolean {
  return (a === undefined) !== (b === undefined);
}

function urlOf({ url, endpoint }: RedisOptions): ReturnType<typeof parseUrl> {
  return parseUrl(url ?? endpoint ?? '');
}

function isEncrypted(options: RedisOptions): boolean {
  return urlOf(options)?.isEncrypted !== false;
}

function isClusterUrl(options: RedisOptions): boolean {
  const url = urlOf(options);
  return url === undefined || (url.database === 0 && 'host' in url.address);
}

/** The server of the url, with what stands beside it. The url counts where both say something. */
export function serverOf(options: RedisOptions): Server {
  const url = urlOf(options);
  if (url === undefined) throw new Error('the schema lets no other url through');
  return {
    address: url.address,
    tls: url.isEncrypted ? (options.tls ?? { verify_certificate: true, verify_hostname: true }) : undefined,
    database: url.database,
    username: url.username ?? options.username,
    password: url.password ?? options.password,
  };
}

/** Where to begin to look for a key of a cluster; undefined if it is none. */
export function clusterOf(options: RedisOptions): ReturnType<typeof seedsAndMap> | undefined {
  return options.cluster ? seedsAndMap(options) : undefined;
}

function seedsAndMap(options: RedisOptions): {
  readonly seeds: readonly NodeAddress[];
  readonly addressMap: ReadonlyMap<string, NodeAddress>;
} {
  const { nodes = [], node_address_map: map = {} } = options;
  const announcedText = (text: string): string => addressText(parseNodeAddress(text) as NodeAddress);
  return {
    seeds: [urlOf(options)?.address as NodeAddress, ...nodes],
    addressMap: new Map(Object.entries(map).map(([from, to]) => [announcedText(from), to])),
  };
}

/** The key of the stream or list for a signal. */
export function keyOf({ key, stream }: RedisOptions, signal: Signal): string {
  return ((key ?? stream) as string).replaceAll('{signal}', signal);
}
