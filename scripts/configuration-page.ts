// docs/configuration.md: what is written by hand, around tables made from the schemas that check a config.
import { builtinBuffers, builtinSinks, builtinSources } from '../src/pipeline/builtins.ts';
import { sinkSchema, topSchema } from '../src/pipeline/config/core-schema.ts';
import { type JsonSchema, objectSchema } from '../src/pipeline/config/json-schema.ts';
import { type BlockKind, refusedKeys } from '../src/pipeline/config/vector-keys.ts';
import type { PluginDefinition } from '../src/pipeline/contract/definition.ts';
import { collectorRows, vectorRows } from './configuration-tables.ts';

export function configurationPage(): string {
  return [
    introduction,
    '## The top',
    keyTable(objectSchema(topSchema)),
    'And three maps from ids to blocks: `sources` and `sinks`, each with at least one, and `buffers`.\n' +
      'An id is 1 to 63 lower-case letters, digits, `-` and `_`, the first a letter or digit. It is given\n' +
      'once in the whole config: logs, metrics and directories are named after it.',
    '## Sources',
    sourceText,
    ...types(builtinSources),
    '## Buffers',
    bufferText,
    ...types(builtinBuffers),
    '## Sinks',
    sinkText,
    keyTable(objectSchema(sinkSchema), sinkReferences),
    'These are the types that need no plugin, with the keys that each has besides.',
    ...types(builtinSinks),
    pluginText,
    vectorText,
    table(['Vector', 'here', 'what differs'], vectorRows),
    '### Keys that are refused',
    'A key that is passed over, or means something else, is worse than one that is missing. These are\n' +
      'refused by name:',
    table(['where', "Vector's key", 'why', 'instead'], refusedRows()),
    collectorText,
    table(['Collector', 'here', 'what differs'], collectorRows),
    '',
  ]
    .join('\n\n')
    .replace(/\n+$/, '\n');
}

const introduction = `# Configuration

A pipeline is one YAML file: sources, buffers and sinks. Keys have Vector's names and meanings
wherever Vector has them.

\`\`\`yaml
data_dir: ./data

sources:
  apps:
    type: otlp
    address: 127.0.0.1:4318

sinks:
  collector:
    type: otlp
    inputs: [apps]
    endpoint: https://\${COLLECTOR:-localhost}:4318
    buffer:
      max_size: 4GiB
\`\`\`

\`spillway validate pipeline.yaml\` checks it without running anything but the plugins it names, and
with \`--no-plugins\` not even those. All errors are listed at once, each with line, column, what was
expected and what was found. For completion in an editor, put this line at the top:

\`\`\`yaml
# yaml-language-server: $schema=./node_modules/spillway/config.schema.json
\`\`\`

This page is written by \`npm run docs\` from the schemas that check a config; do not edit it.

## The file

YAML 1.2: \`yes\` and \`on\` are text, truth is \`true\` and \`false\`. One document; every key is plain text
and stands once in its map. Anchors and aliases work, for up to 10,000 values; merge keys (\`<<\`), tags
(\`!!str\`) and directives (\`%YAML\`) are refused. Relative paths start at the folder of the config file.

**Sizes** are whole numbers of bytes, or text such as \`256MiB\`, \`1.5GB\`, \`64 KiB\`. **Times** are
seconds, fractions allowed; their keys end in \`_secs\`.

## Variables

| written | is |
|---|---|
| \`\${NAME}\`, \`\${env:NAME}\` | the variable; an error if it is not set |
| \`\${NAME:-default}\` | the default if it is not set or empty; \`\${NAME-default}\` only if it is not set |
| \`\${NAME:?message}\` | an error with this message if it is not set or empty; \`\${NAME?message}\` if it is not set |
| \`$$\` | a dollar sign |

Variables are put into values, never into keys, after the YAML was read: a value cannot change what
the file means, and what a variable holds is not looked at again. A plain value that is one variable
and nothing else is typed as YAML would type it, so \`rate: \${RATE}\` can be a number; in quotes it stays
text. Inside \`[ ]\` and \`{ }\` YAML wants the quotes: \`["\${NAME}"]\`. Messages show \`<from $NAME>\` in place
of what a variable holds.

## Secrets

Options marked as secret are never printed. Each has a second key with \`_file\` behind its name, which
reads it from a file, less one newline at its end:

\`\`\`yaml
token_file: /run/secrets/token
\`\`\``;

const sourceText = `Every source has the key \`type\`: one of those below, or that of a plugin. A source answers its own
peer only when every buffer behind it has what it took. A source that no sink names is not started.`;

const bufferText = `A buffer stands in front of each sink. Under the sink's \`buffer\` there may be:

- **nothing**: a buffer on disk with the defaults below;
- **its options**; \`type\` is \`disk\` if it is left out;
- **a list**: an overflow chain. What does not fit into one goes to the next, in order. Every buffer of
  the list but the last says \`when_full: overflow\`;
- **an id** of one under \`buffers\`, which several sinks read. There is one copy on disk, and each sink
  has its own place in it; all of them get everything in it, so they have the same \`inputs\`.

\`\`\`yaml
data_dir: ./data
sources:
  apps: { type: otlp }
buffers:
  shelf: { max_size: 10GiB }
sinks:
  archive: { type: file, path: ./archive.jsonl, inputs: [apps], buffer: shelf }
  screen: { type: console, inputs: [apps], buffer: shelf, start_at: newest }
\`\`\`

A buffer on disk lives in \`<data_dir>/buffers/<id>\`; one of a sink's own has the sink's id.`;

const sinkText = `Every sink has these keys, whatever its type. A sink that takes some signals only, such as
\`syslog\`, or \`otlp\` with \`logs_endpoint\` alone, rejects others that come: that is a warning, and an
error where nothing of what it takes could ever come. The \`signals\` of a source say what it makes.`;

const sinkReferences: readonly (readonly string[])[] = [
  ['`type`', 'text', 'required', 'One of those below, or that of a plugin.'],
  [
    '`inputs`',
    'list of ids',
    'required',
    'The sources that feed it. `*` stands for any characters: `["app-*"]`. One that matches nothing is an error.',
  ],
  ['`buffer`', 'see [Buffers](#buffers)', 'on disk', 'What stands in front of it.'],
];

const pluginText = `## Plugins

A \`type\` that is no built-in names a plugin: \`redis\` is the npm package \`spillway-redis\`, a name that
begins with \`@\` or \`spillway-\` is that package, and \`./mine.ts\` is a file. Packages are looked for from
the folder of the config, then from Spillway's own. Nothing is ever installed by itself; the error
names the command. A package is refused before any of it runs if its package.json does not declare
\`"spillway": { "api": 1, "types": ["redis"] }\`. A config is code: naming a plugin runs it.`;

const vectorText = `## From Vector

These keys mean what they mean in Vector, but for what the last column says.`;

const collectorText = `## From the OpenTelemetry Collector

The exporter helper's keys, those of the file storage extension and of the batch processor, and what
does their work here.`;

function types(definitions: readonly PluginDefinition[]): string[] {
  return definitions.flatMap(({ type, schema }) => [`### \`type: ${type}\``, keyTable(objectSchema(schema))]);
}

type Keys = Pick<ReturnType<typeof objectSchema>, 'properties' | 'required'>;

function keyTable(keys: Keys, before: readonly (readonly string[])[] = []): string {
  const rows = [...before, ...rowsOf(keys, '')];
  return rows.length === 0 ? 'It has no keys of its own.' : table(['key', 'type', 'default', 'what'], rows);
}

/** A row for each key, and below an object's key those inside it, with dots. */
function rowsOf({ properties, required }: Keys, prefix: string): string[][] {
  return Object.entries(properties).flatMap(([key, given]) => {
    const property = withoutVariable(given);
    const name = `${prefix}${key}`;
    const inner = innerObjects(property).flatMap((object) => rowsOf(object, `${name}.`));
    const hasOneForm = property['properties'] !== undefined;
    const byDefault = required.includes(key) ? 'required' : hasOneForm ? '' : defaultText(given['default']);
    return [[`\`${name}\``, typeText(given), byDefault, String(given['description'] ?? '')], ...inner];
  });
}

function innerObjects(schema: JsonSchema): Keys[] {
  const own = schema['properties'] as Keys['properties'] | undefined;
  if (own !== undefined) return [{ properties: own, required: (schema['required'] ?? []) as string[] }];
  return branches(schema).flatMap(innerObjects);
}

function branches(schema: JsonSchema): JsonSchema[] {
  return ((schema['anyOf'] ?? schema['oneOf'] ?? []) as JsonSchema[]).map(withoutVariable);
}

/** What a value is when no variable stands for it. */
function withoutVariable(schema: JsonSchema): JsonSchema {
  const [value, variable, ...more] = (schema['anyOf'] ?? []) as JsonSchema[];
  if (value === undefined || variable?.['pattern'] !== '\\$\\{' || more.length > 0) return schema;
  return { ...schema, anyOf: undefined, ...value };
}

const formats: Readonly<Record<string, string>> = {
  'byte-size': 'size',
  seconds: 'seconds',
  secret: 'text, secret',
  address: 'host:port',
  path: 'path',
  uri: 'URL',
};

function typeText(given: JsonSchema): string {
  const schema = withoutVariable(given);
  const format = formats[String(schema['format'])];
  if (format !== undefined) return format;
  if (Array.isArray(schema['enum'])) return schema['enum'].map((value) => `\`${String(value)}\``).join(', ');
  if (schema['const'] !== undefined) return `\`${String(schema['const'])}\``;
  const choices = branches(schema);
  if (choices.length > 0) return [...new Set(choices.map(typeText))].join(' or ');
  if (schema['type'] === 'array') return `list of ${typeText((schema['items'] ?? {}) as JsonSchema)}`;
  if (schema['type'] === 'object') return schema['properties'] === undefined ? 'map of names to text' : 'map';
  const names: Readonly<Record<string, string>> = {
    string: 'text',
    number: 'number',
    integer: 'whole number',
    boolean: '`true`, `false`',
  };
  return names[String(schema['type'])] ?? 'any';
}

function defaultText(value: unknown): string {
  if (value === undefined) return '';
  if (typeof value === 'object' && value !== null && Object.keys(value).length === 0) return '';
  const isPlain = typeof value === 'string' && /^[\x21-\x7e][\x20-\x7e]*$/.test(value);
  return `\`${isPlain ? value : JSON.stringify(value)}\``;
}

const blockNames: Readonly<Record<BlockKind, string>> = {
  top: 'the top',
  source: 'a source',
  sink: 'a sink',
  buffer: 'a buffer',
};

function refusedRows(): string[][] {
  return refusedKeys.map(({ block, key, value, of = 'Vector', reason, instead }) => {
    const name = value === undefined ? `\`${key}\`` : `\`${key}: ${value}\``;
    return [blockNames[block], of === 'Vector' ? name : `${name} (${of})`, reason, instead];
  });
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |`;
  return [line(head), `|${'---|'.repeat(head.length)}`, ...rows.map(line)].join('\n').replaceAll(/ {2,}\|/g, ' |');
}
