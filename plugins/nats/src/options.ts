// The keys of a sink with `type: nats`, and what they mean.
import {
  byteSize,
  hostPath,
  type Signal,
  seconds,
  secret,
  type Template,
  type TlsOptions,
  template,
  tlsOptions,
  z,
} from 'spillway/plugin';
import { isSeed } from './credentials.ts';
import { isPublishSubject, isStreamName, subjectPattern, subjectWith } from './subject.ts';

export interface AuthOptions {
  readonly strategy: 'user_password' | 'token' | 'credentials_file' | 'nkey';
  readonly user_password?: { readonly user: string; readonly password: string } | undefined;
  readonly token?: { readonly value: string } | undefined;
  readonly credentials_file?: { readonly path: string } | undefined;
  readonly nkey?: { readonly nkey?: string | undefined; readonly seed: string } | undefined;
}

/** What a stream is created with, where it is missing. */
export interface CreateOptions {
  readonly subjects?: readonly string[] | undefined;
  readonly storage: 'file' | 'memory';
  readonly replicas: number;
  readonly discard: 'old' | 'new';
  /** Milliseconds by now. */
  readonly max_age_secs?: number | undefined;
  /** Bytes by now. */
  readonly max_bytes?: number | undefined;
}

export interface NatsOptions {
  readonly url: string;
  readonly subject: Template;
  readonly stream?: Template | undefined;
  readonly create_stream?: CreateOptions | undefined;
  readonly payload: 'json' | 'protobuf';
  readonly deduplicate: 'stream' | 'window';
  readonly connection_name: string;
  readonly auth?: AuthOptions | undefined;
  readonly tls?: TlsOptions | undefined;
  readonly inbox_prefix: string;
  readonly domain?: string | undefined;
  /** Milliseconds by now. */
  readonly connect_timeout_secs: number;
}

const servers = secret().refine((text) => text.split(',').every(isServer), {
  error: 'expected nats://host:port, or tls:// for TLS, several servers of one cluster separated by commas',
});

function isServer(text: string): boolean {
  const url = URL.canParse(text.trim()) ? new URL(text.trim()) : undefined;
  return url !== undefined && ['nats:', 'tls:'].includes(url.protocol) && url.hostname !== '';
}

const auth: z.ZodType<AuthOptions> = z
  .strictObject({
    strategy: z.enum(['user_password', 'token', 'credentials_file', 'nkey']).describe('Which of the other keys holds.'),
    user_password: z
      .strictObject({ user: z.string().min(1).describe('The user.'), password: secret().describe('The password.') })
      .optional()
      .describe('For `strategy: user_password`.'),
    token: z
      .strictObject({ value: secret().describe('The token.') })
      .optional()
      .describe('For `strategy: token`.'),
    credentials_file: z
      .strictObject({ path: hostPath().describe('A `.creds` file with a JWT and a seed. Read at every connect.') })
      .optional()
      .describe('For `strategy: credentials_file`.'),
    nkey: z
      .strictObject({
        nkey: z.string().min(1).optional().describe('The public key, if it is to be checked against the seed.'),
        seed: secret()
          .refine(isSeed, { error: 'expected a seed, SU and 56 more characters' })
          .describe('The seed, `SU...`.'),
      })
      .optional()
      .describe('For `strategy: nkey`.'),
  })
  .refine((given) => given[given.strategy] !== undefined, {
    error: 'expected the key that strategy names',
    path: ['strategy'],
  });

const createStream: z.ZodType<CreateOptions> = z.strictObject({
  subjects: z
    .array(z.string().min(1))
    .min(1)
    .optional()
    .describe(
      'What it takes. Default: `subject` of every signal, with `*` for each part that has another placeholder.',
    ),
  storage: z.enum(['file', 'memory']).default('file').describe('Where it keeps its messages.'),
  replicas: z.int().min(1).max(5).default(1).describe('On how many servers of a cluster: 1, 3 or 5.'),
  discard: z
    .enum(['old', 'new'])
    .default('old')
    .describe('At a limit: `old` removes the oldest message, `new` refuses new ones, which then wait in the buffer.'),
  max_age_secs: seconds({ min: 1 }).optional().describe('Messages are removed after this time. Default: never.'),
  max_bytes: byteSize({ min: 1 }).optional().describe('Size of the stream. Default: no limit of its own.'),
});

/** What each key does stands in its description; the README says what follows from it. */
export const schema: z.ZodType<NatsOptions> = z
  .strictObject({
    url: servers.describe('The server: `nats://host:4222`, `tls://host`; several of a cluster separated by commas.'),
    subject: template()
      .refine(({ source }) => isPublishSubject(subjectWith(source, 'x')), {
        error: 'expected a subject without spaces, wildcards and empty parts, such as telemetry.{signal}',
      })
      .describe(
        'Where messages are published. `{signal}`, `{severity}`, `{resource.<name>}` and `{attribute.<name>}` stand ' +
          'for what the event says.',
      ),
    stream: template()
      .refine(({ source, needsFields }) => !needsFields && isStreamName(subjectWith(source, 'x')), {
        error: 'expected the name of a stream: no spaces, dots, slashes or wildcards, no placeholder but {signal}',
      })
      .optional()
      .describe('The stream that takes the subject, may hold `{signal}`. Default: the server is asked.'),
    create_stream: createStream.optional().describe('Creates the stream if it is missing: `{}`, or with these keys.'),
    payload: z
      .enum(['json', 'protobuf'])
      .default('json')
      .describe('What a message holds: one event as an OTLP request, as JSON or as protobuf.'),
    deduplicate: z
      .enum(['stream', 'window'])
      .default('stream')
      .describe(
        "`stream`: the stream is this sink's alone, and nothing comes twice however long an outage is. `window`: for " +
          "shared streams and memory buffers; only the server's window, two minutes by default, keeps repeats out.",
      ),
    connection_name: z.string().min(1).default('spillway').describe('How the server shows the connection.'),
    auth: auth.optional().describe('Who we are, if not in the url.'),
    tls: tlsOptions().optional().describe('Uses TLS, and says how. Without it TLS is used where the server asks.'),
    inbox_prefix: z
      .string()
      .refine(isPublishSubject, { error: 'expected a subject without wildcards' })
      .default('_INBOX')
      .describe('Where answers are received: `<prefix>.>` has to be permitted.'),
    domain: z
      .string()
      .regex(/^[\w-]+$/, { error: 'expected the name of a JetStream domain' })
      .optional()
      .describe('JetStream domain, to reach a stream through a leaf node.'),
    connect_timeout_secs: seconds({ min: 0.001 })
      .prefault(5)
      .describe('How long connecting to one server may take, TLS and authentication included.'),
  })
  .refine(({ create_stream: create, stream }) => create === undefined || stream !== undefined, {
    error: 'expected stream, too: a stream that is created needs a name',
    path: ['stream'],
  })
  .refine(({ create_stream: create, deduplicate }) => create === undefined || deduplicate === 'stream', {
    error: 'expected deduplicate: stream: a shared stream is created by whoever it belongs to',
    path: ['create_stream'],
  });

const signals: readonly Signal[] = ['logs', 'traces', 'metrics'];

/**
 * What a stream that is created takes, in the words of the server: all that will ever be published there, for one that
 * is there is never changed.
 */
export function createdSubjects(options: NatsOptions, signal: Signal): readonly string[] {
  const { subject, stream, create_stream: create } = options;
  if (create?.subjects !== undefined) return create.subjects;
  const isForOne = stream?.source.includes('{signal}') || !subject.source.includes('{signal}');
  const taken = isForOne ? [signal] : signals;
  return taken.map((each) => subjectPattern(subject.source.replaceAll('{signal}', each)));
}
