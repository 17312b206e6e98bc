// The keys of a sink with `type: postgres`, and what they mean.
import { seconds, secret, type TlsOptions, tlsOptions, z } from 'spillway/plugin';
import { type Column, defaultColumns, defaultType, namesAnEvent, parseSource } from './column-source.ts';
import { parseEndpoint } from './endpoint.ts';
import { isName, parseTableName } from './table-name.ts';

export interface PostgresOptions {
  readonly endpoint: string;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly table: string;
  readonly columns: readonly Column[];
  readonly create_table: boolean;
  readonly pool_size: number;
  readonly synchronous_commit: 'on' | 'remote_apply' | 'remote_write' | 'local' | 'off';
  readonly tls?: TlsOptions | undefined;
  /** Milliseconds by now. */
  readonly connect_timeout_secs: number;
}

/** Far below what a statement may have. */
const columnsMax = 200;

const columnSchema = z.union([z.string(), z.strictObject({ from: z.string(), type: z.string().optional() })]);

/** `numeric(12, 3)`, `double precision`, `text[]`, `app.severity`: nothing that could end what it stands in. */
const typePattern = /^[a-z_][\w.]*(?: [a-z]+){0,3}(?: ?\(\d+(?:, ?\d+)?\))?(?: with(?:out)? time zone)?(?:\[\])?$/i;

const columnsSchema = z.record(z.string(), columnSchema).transform((given, context): readonly Column[] => {
  const columns: Column[] = [];
  for (const [name, value] of Object.entries(given)) {
    const { from, type } = typeof value === 'string' ? { from: value, type: undefined } : value;
    const source = parseSource(from);
    const issue =
      (isName(name) ? undefined : 'expected a name of 1 to 63 bytes') ??
      (source === undefined ? sourceIssue : undefined) ??
      (type === undefined || typePattern.test(type) ? undefined : 'expected a type such as text, bigint or app.kind');
    if (issue !== undefined) context.addIssue({ code: 'custom', message: issue, path: [name] });
    if (source !== undefined) columns.push({ name, source, type: type ?? defaultType(source) });
  }
  if (columns.length > columnsMax) {
    context.addIssue({ code: 'custom', message: `expected at most ${columnsMax} columns` });
  }
  if (context.issues.length === 0 && !namesAnEvent(columns.map(({ source }) => source))) {
    context.addIssue({ code: 'custom', message: 'expected a column from key, or columns from buffer, epoch and id' });
  }
  return columns;
});

const sourceIssue =
  'expected key, buffer, epoch, id, signal, time, severity, body, attributes, resource, json, attribute.<name>, ' +
  'resource.<name>, event.<field>, scope.<field> or metric.<field>';

const endpointSchema = secret().refine((text) => parseEndpoint(text) !== undefined, {
  error:
    'expected postgres://user@host:5432/database; after it, only sslmode (disable, require, verify-full) and host ' +
    '(the directory of a Unix socket) are understood: the key tls says the rest. A password with characters that ' +
    'mean something in a url, such as # or /, belongs in the key password',
});

/** What each key does stands in its description; the README says what follows from it. */
export const schema: z.ZodType<PostgresOptions> = z
  .strictObject({
    endpoint: endpointSchema.describe('The server: `postgres://user:password@host:5432/database`.'),
    username: z.string().min(1).optional().describe('The role to connect as, if not in the endpoint.'),
    password: secret().optional().describe('Its password, if not in the endpoint.'),
    table: z
      .string()
      .refine((text) => parseTableName(text) !== undefined, {
        error: 'expected a table such as events or telemetry.events, each name of 1 to 63 bytes',
      })
      .describe('The table, as it is spelt, with its schema: `telemetry.{signal}`. `{signal}` becomes the signal.'),
    columns: columnsSchema
      .prefault({ ...defaultColumns })
      .describe(
        'What each column gets: the name of the column, and `from` what it comes, with a `type` if it is made.',
      ),
    create_table: z
      .boolean()
      .default(false)
      .describe('Whether a table that is missing is made, with its schema. One that is there is never changed.'),
    pool_size: z.int().min(1).max(100).default(5).describe('Most connections, and so most batches at once.'),
    synchronous_commit: z
      .enum(['on', 'remote_apply', 'remote_write', 'local', 'off'])
      .default('on')
      .describe('What must have happened before the server confirms: its own setting, for each transaction.'),
    tls: tlsOptions().optional().describe('Encrypts, and says whom to trust. Without it `sslmode` decides.'),
    connect_timeout_secs: seconds({ min: 0.001 })
      .prefault(5)
      .describe('How long connecting may take, TLS and authentication included.'),
  })
  .superRefine(({ endpoint, username, tls }, context) => {
    const server = parseEndpoint(endpoint);
    if (server?.usesTls === false && tls !== undefined) {
      context.addIssue({ code: 'custom', message: 'expected no tls beside sslmode=disable', path: ['tls'] });
    }
    if (server !== undefined && server.user === undefined && username === undefined) {
      context.addIssue({ code: 'custom', message: 'expected a user, here or in the endpoint', path: ['username'] });
    }
  });
