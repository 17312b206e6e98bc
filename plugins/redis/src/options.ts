// The keys of a sink with `type: redis`, and what they mean.
import { type Signal, seconds, secret, z } from 'spillway/plugin';

export interface RedisOptions {
  readonly url?: string | undefined;
  readonly endpoint?: string | undefined;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly stream: string;
  readonly payload: 'json' | 'protobuf';
  readonly max_length?: number | undefined;
  readonly ids: 'key' | 'auto';
  /** Milliseconds by now. */
  readonly connect_timeout_secs: number;
}

function isServer(text: string): boolean {
  return URL.canParse(text) && ['redis:', 'rediss:', 'unix:'].includes(new URL(text).protocol);
}

const server = secret().refine(isServer, {
  error: 'expected redis://host:port, rediss://host:port for TLS, or unix:///path, with /<number> for a database',
});

/** What each key does stands in its description; the README says what follows from it. */
export const schema: z.ZodType<RedisOptions> = z
  .strictObject({
    url: server.optional().describe('The server: `redis://host:6379/0`, `rediss://` for TLS, `unix:///path`.'),
    endpoint: server.optional().describe("The same as `url`, under Vector's name."),
    username: z.string().min(1).optional().describe('User of the access control list, if not in the url.'),
    password: secret().optional().describe('Password, if not in the url.'),
    stream: z
      .string()
      .min(1)
      .describe('Name of the stream. `{signal}` in it becomes `logs`, `traces` or `metrics`: then there are three.'),
    payload: z
      .enum(['json', 'protobuf'])
      .default('json')
      .describe('What the field `data` of an entry holds: one event as an OTLP request, as JSON or as protobuf.'),
    max_length: z
      .int()
      .min(1)
      .optional()
      .describe('Trims the stream to about so many entries (`MAXLEN ~`) after each batch. Default: never.'),
    ids: z
      .enum(['key', 'auto'])
      .default('key')
      .describe(
        "`key`: an entry's id is its event's key, which makes every event arrive exactly once. `auto`: the server " +
          'gives the ids; for memory buffers, and for several writers on one stream. Repeats are then possible.',
      ),
    connect_timeout_secs: seconds({ min: 0.001 })
      .prefault(5)
      .describe('How long connecting may take, TLS and authentication included.'),
  })
  .refine(({ url, endpoint }) => (url === undefined) !== (endpoint === undefined), {
    error: 'expected exactly one of url and endpoint',
    path: ['url'],
  });

/** The stream for a signal. */
export function streamName(template: string, signal: Signal): string {
  return template.replaceAll('{signal}', signal);
}
