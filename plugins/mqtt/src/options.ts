// The keys of a sink with `type: mqtt`, under Vector's names where Vector has them, and what they mean.
import { isIPv6 } from 'node:net';
import {
  type OptionsProblem,
  type SinkSurroundings,
  type SwitchableTlsOptions,
  seconds,
  secret,
  switchableTlsOptions,
  type Template,
  type TlsOptions,
  template,
  z,
} from 'spillway/plugin';
import { fieldBytesMax } from './packet.ts';

export interface MqttOptions {
  readonly url?: string | undefined;
  readonly host?: string | undefined;
  readonly port?: number | undefined;
  readonly tls?: SwitchableTlsOptions | undefined;
  readonly user?: string | undefined;
  readonly password?: string | undefined;
  readonly protocol_version: '5' | '3.1.1';
  readonly client_id?: string | undefined;
  readonly keep_alive: number;
  readonly clean_session: boolean;
  /** Milliseconds by now. */
  readonly session_expiry_secs: number;
  readonly topic: Template;
  readonly quality_of_service: 'atleastonce';
  readonly retain: boolean;
  readonly payload: 'json' | 'protobuf';
  readonly content_type?: string | undefined;
  readonly message_expiry_secs?: number | undefined;
  readonly require_subscribers: boolean;
  readonly max_in_flight: number;
  /** Milliseconds by now. */
  readonly connect_timeout_secs: number;
}

/** The longest time that MQTT can say, but for one that means for ever. */
const secondsMax = 0xffff_fffe;

function isServer(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname, pathname, search, hash, username, password } = new URL(text);
  const isBare = ['', '/'].includes(pathname) && search === '' && hash === '';
  const hasAccount = [username, password].every((part) => isText(decoded(part) ?? '\0'));
  return ['mqtt:', 'mqtts:'].includes(protocol) && hostname !== '' && isBare && hasAccount;
}

/** What a field of MQTT can hold: no NUL, no half of a character, and not too long. */
function isText(text: string): boolean {
  return !text.includes('\0') && !/\p{Cs}/u.test(text) && Buffer.byteLength(text) <= fieldBytesMax;
}

/** A url here would be looked up as a name, and shown with its password. */
const host = z
  .string()
  .min(1)
  .refine((text) => isIPv6(text) || /^[^\s:/@[\]]+$/.test(text), {
    error: 'expected the name or address alone; the port has a key of its own, and a url stands in url',
  });

const textError = `expected at most ${fieldBytesMax} bytes of UTF-8 without U+0000`;
const text = (): z.ZodString => z.string().min(1).refine(isText, { error: textError });

function isTopic({ source }: Template): boolean {
  return !/[+#]/.test(source.replace(/\{[^{}]*\}/g, '')) && isText(source);
}

const topic = template().refine(isTopic, { error: 'expected a topic without +, # and U+0000 beside its placeholders' });

const version = z
  .union([z.literal(5), z.literal('5'), z.literal('3.1.1')], { error: 'expected 5 or 3.1.1' })
  .transform((value): '5' | '3.1.1' => (value === '3.1.1' ? value : '5'));

/** What each key does stands in its description; the README says what follows from it. */
export const schema: z.ZodType<MqttOptions> = z
  .strictObject({
    url: secret()
      .refine(isServer, { error: 'expected mqtt://host:port, or mqtts://host:port for TLS' })
      .optional()
      .describe('The server: `mqtt://host:1883`, or `mqtts://host:8883` for TLS; may hold user and password.'),
    host: host.optional().describe('Name or address of the server, instead of `url`.'),
    port: z.int().min(1).max(65_535).optional().describe('Its port. Default: 1883, with TLS 8883.'),
    tls: switchableTlsOptions({ enabledByDefault: true })
      .optional()
      .describe('TLS. With `host` it is used if this is there, if only as `{}`.'),
    user: text().optional().describe('User, if not in the url.'),
    password: secret().refine(isText, { error: textError }).optional().describe('Password, if not in the url.'),
    protocol_version: version
      .prefault(5)
      .describe('`5`, or `3.1.1`, in which a server cannot say that it did not take a message.'),
    client_id: text()
      .optional()
      .describe("Under which the server knows the sink; no other client may use it. Default: made of the buffer's."),
    keep_alive: z
      .int()
      .min(0)
      .max(65_535)
      .default(60)
      .describe('Seconds after which a silent server is given up, and a silent sink by the server. 0: never.'),
    clean_session: z
      .boolean()
      .default(true)
      .describe('`true`: every connection begins a session of its own. `false`: it resumes the one before.'),
    session_expiry_secs: seconds({ min: 1 })
      .refine((ms) => ms <= secondsMax * 1000, { error: `expected at most ${secondsMax} seconds` })
      .prefault(3600)
      .describe('How long an MQTT 5 server keeps the session without a connection, with `clean_session: false`.'),
    topic: topic.describe(
      'The topic; may hold `{signal}`, `{severity}`, `{resource.<name>}` and `{attribute.<name>}`.',
    ),
    quality_of_service: z
      .literal('atleastonce', {
        error:
          'expected atleastonce: what is sent with atmostonce is never acknowledged, and exactlyonce is not spoken',
      })
      .default('atleastonce')
      .describe('QoS 1: every message is acknowledged.'),
    retain: z.boolean().default(false).describe('Whether the server keeps the last message of each topic.'),
    payload: z
      .enum(['json', 'protobuf'])
      .default('json')
      .describe('What a message holds: one event as an OTLP request, as JSON or as protobuf.'),
    content_type: text().optional().describe('Content type in MQTT 5. Default: that of `payload`.'),
    message_expiry_secs: z
      .int()
      .min(1)
      .max(secondsMax)
      .optional()
      .describe('How long an MQTT 5 server keeps a message for a subscriber. Default: as long as it likes.'),
    require_subscribers: z
      .boolean()
      .default(false)
      .describe('Whether a message that an MQTT 5 server had no subscriber for is sent again until there is one.'),
    max_in_flight: z
      .int()
      .min(1)
      .max(65_535)
      .default(256)
      .describe('Most messages that wait for an acknowledgement; the server may allow fewer. 1: strict order.'),
    connect_timeout_secs: seconds({ min: 0.001 })
      .prefault(5)
      .describe('How long connecting may take, TLS and authentication included.'),
  })
  .refine(({ url, host }) => (url === undefined) !== (host === undefined), {
    error: 'expected exactly one of url and host',
    path: ['url'],
  })
  .refine(({ url, port }) => url === undefined || port === undefined, {
    error: 'expected the port in the url',
    path: ['port'],
  })
  .refine(({ url, tls }) => url === undefined || tls === undefined || tls.enabled === url.startsWith('mqtts:'), {
    error: 'expected mqtts:// in the url if tls is enabled, and only then',
    path: ['tls'],
  })
  .refine((given) => given.protocol_version === '5' || !needsVersion5(given), {
    error: 'expected 5: content_type, message_expiry_secs and require_subscribers need it',
    path: ['protocol_version'],
  })
  .refine(
    ({ user, password, url, protocol_version }) => {
      return protocol_version === '5' || user !== undefined || hasUser(url) || !(password ?? passwordIn(url));
    },
    { error: 'expected a user beside the password: 3.1.1 knows no password alone', path: ['user'] },
  );

function needsVersion5(given: Partial<MqttOptions>): boolean {
  const { content_type: contentType, message_expiry_secs: expiry, require_subscribers: needsSubscribers } = given;
  return contentType !== undefined || expiry !== undefined || needsSubscribers === true;
}

function hasUser(url: string | undefined): boolean {
  return url !== undefined && new URL(url).username !== '';
}

function passwordIn(url: string | undefined): string {
  return url === undefined ? '' : new URL(url).password;
}

export interface Account {
  readonly host: string;
  readonly port: number;
  readonly tls: TlsOptions | undefined;
  readonly user: string | undefined;
  readonly password: string | undefined;
}

/** Where to go and as whom, from either form of the config. */
export function accountOf({ url, host = '', port, tls, user, password }: MqttOptions): Account {
  if (url === undefined) return { host, ...securityOf(tls?.enabled === true, port, tls), user, password };
  const parsed = new URL(url);
  const portInUrl = parsed.port === '' ? undefined : Number(parsed.port);
  return {
    host: parsed.hostname.replace(/^\[(.*)\]$/, '$1'),
    ...securityOf(parsed.protocol === 'mqtts:', portInUrl, tls),
    user: user ?? (decoded(parsed.username) || undefined),
    password: password ?? (decoded(parsed.password) || undefined),
  };
}

/** Two clients with one name throw each other out for ever. */
export function checkMqttOptions(options: MqttOptions, { earlier }: SinkSurroundings<MqttOptions>): OptionsProblem[] {
  const other = earlier.find((each) => isSameClient(each.options, options));
  if (other === undefined) return [];
  const message = `"${other.id}" has it, too, on the same server; expected one that is this sink's alone`;
  return [{ path: ['client_id'], message }];
}

function isSameClient(one: MqttOptions, other: MqttOptions): boolean {
  if (one.client_id === undefined || one.client_id !== other.client_id) return false;
  const [a, b] = [accountOf(one), accountOf(other)];
  return a.host === b.host && a.port === b.port;
}

function securityOf(
  isSecure: boolean,
  port: number | undefined,
  tls: TlsOptions | undefined,
): Pick<Account, 'port' | 'tls'> {
  if (!isSecure) return { port: port ?? 1883, tls: undefined };
  return { port: port ?? 8883, tls: tls ?? { verify_certificate: true, verify_hostname: true } };
}

/** Undefined if its percent signs are wrong. */
function decoded(part: string): string | undefined {
  try {
    return decodeURIComponent(part);
  } catch {
    return undefined;
  }
}
