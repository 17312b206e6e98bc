// The keys of a sink with `type: syslog`, and what they mean.
import {
  type Address,
  address,
  byteSize,
  type SwitchableTlsOptions,
  seconds,
  switchableTlsOptions,
  type Template,
  template,
  z,
} from 'spillway/plugin';
import type { Confirm } from './confirmation.ts';
import { type MessageFormat, messageBytesLeast } from './message.ts';
import { facility } from './priority.ts';
import type { ElementName } from './structured-data.ts';
import type { ControlCharacters } from './text.ts';

export interface SyslogOptions {
  readonly address: Address;
  readonly mode: 'tcp';
  readonly tls: SwitchableTlsOptions;
  readonly confirm: Confirm;
  /** Milliseconds by now, as below. */
  readonly connect_timeout_secs: number;
  readonly keepalive: { readonly time_secs: number };
  readonly facility: number;
  readonly hostname?: Template | undefined;
  readonly app_name?: Template | undefined;
  readonly proc_id?: Template | undefined;
  readonly msg_id?: Template | undefined;
  readonly structured_data: readonly ElementName[];
  readonly enterprise_id: number;
  readonly byte_order_mark: boolean;
  readonly control_characters: ControlCharacters;
  readonly max_message_bytes: number;
  readonly when_too_long: 'truncate' | 'reject';
}

function field(limit: string, usual: string): z.ZodType<Template | undefined, string | undefined> {
  return template().optional().describe(`${limit}, such as \`{attribute.name}\`. Default: ${usual}, else \`-\`.`);
}

/** What each key does stands in its description; the README says what follows from it. */
export const schema: z.ZodType<SyslogOptions> = z.strictObject({
  address: address().describe('The receiver: `logs.example.org:601`.'),
  mode: z.literal('tcp').default('tcp').describe('Syslog over UDP is lost without a trace, so there is only `tcp`.'),
  tls: switchableTlsOptions({ enabledByDefault: false }).prefault({}).describe('TLS (RFC 5425), usually on port 6514.'),
  confirm: z
    .enum(['close', 'receipt'])
    .default('close')
    .describe(
      'What counts as delivered. `close`: the receiver was told the end and has closed in turn, so its process has ' +
        'read every byte; a connection for each batch. `receipt`: its system has acknowledged every byte; the ' +
        'connection is kept, and what its process has not read when it dies is lost.',
    ),
  connect_timeout_secs: seconds({ min: 0.001 }).prefault(5).describe('How long connecting may take, TLS included.'),
  keepalive: z
    .strictObject({ time_secs: seconds({ min: 1, max: 32_767 }).prefault(60).describe('After how long a silence.') })
    .prefault({})
    .describe('When the system asks whether a silent connection is still there.'),
  facility: facility().prefault('user').describe('0 to 23, or a name such as `daemon` or `local0`.'),
  hostname: field('HOSTNAME, at most 255 characters', '`host.name` of the resource'),
  app_name: field('APP-NAME, at most 48 characters', '`service.name` of the resource'),
  proc_id: field('PROCID, at most 128 characters', '`process.pid` of the resource'),
  msg_id: field('MSGID, at most 32 characters', "the log record's event name"),
  structured_data: z
    .array(z.enum(['event', 'attributes', 'resource']))
    .default(['event', 'attributes'])
    .describe(
      'Elements: `event` has the key by which repeats can be told, trace and span id, severity text, event name and ' +
        'scope; `attributes` and `resource` have those of the log record and of its resource.',
    ),
  enterprise_id: z
    .int()
    .min(0)
    .default(32_473)
    .describe('What stands behind the `@` in names of elements. Default: the number reserved for examples.'),
  byte_order_mark: z.boolean().default(true).describe('Whether texts begin with one, as RFC 5424 asks of UTF-8.'),
  control_characters: z
    .enum(['keep', 'escape'])
    .default('keep')
    .describe('`escape` writes line breaks and other controls as `\\n` or `\\u001b`, and a backslash twice.'),
  max_message_bytes: byteSize({ min: messageBytesLeast })
    .prefault(8192)
    .describe('Longest message, without the frame. 8192 is what RFC 5425 expects receivers to take.'),
  when_too_long: z
    .enum(['truncate', 'reject'])
    .default('truncate')
    .describe('`truncate`: cuts a longer message and says so in it. `reject`: it goes to the dead letters.'),
});

export function messageFormat(options: SyslogOptions): MessageFormat {
  return {
    facility: options.facility,
    hostname: options.hostname,
    appName: options.app_name,
    processId: options.proc_id,
    messageId: options.msg_id,
    elements: options.structured_data,
    enterprise: options.enterprise_id,
    hasMark: options.byte_order_mark,
    controls: options.control_characters,
    messageBytesMax: options.max_message_bytes,
    tooLong: options.when_too_long,
  };
}
