// The JSON Schema of a config, for editors: completion, descriptions, red lines. Made from the schemas that check it.
//
// It is wider than the check where JSON Schema cannot say what is meant: a variable may stand anywhere, ids point at
// each other, and the options of plugins are not known. What the check accepts, it accepts.

import { type ZodType, z } from 'zod';
import { builtinBuffers, builtinSinks, builtinSources } from '../builtins.ts';
import type { PluginDefinition } from '../contract/definition.ts';
import type { Builtins } from '../plugins/plugin-loader.ts';
import { sinkSchema, topSchema } from './core-schema.ts';
import { type SchemaStructure, structureOf } from './schema-shape.ts';

export type JsonSchema = { readonly [key: string]: unknown };

type Properties = Readonly<Record<string, JsonSchema>>;

/** A whole scalar that a variable gives. */
const variable: JsonSchema = { type: 'string', pattern: '\\$\\{' };

const idPattern = '^[a-z0-9][a-z0-9_-]{0,62}$';

export function configJsonSchema(
  builtins: Builtins = { sources: builtinSources, buffers: builtinBuffers, sinks: builtinSinks },
): JsonSchema {
  const top = objectSchema(topSchema);
  const sinkKeys = objectSchema(sinkSchema).properties;
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Spillway config',
    type: 'object',
    properties: {
      ...top.properties,
      sources: section('Where events come from, by id.', { $ref: '#/$defs/source' }),
      buffers: section('Buffers that several sinks read, by id. Each sink has its own place in it.', {
        $ref: '#/$defs/bufferOrChain',
      }),
      sinks: section('Where events go, by id.', { $ref: '#/$defs/sink' }),
    },
    required: [...top.required, 'sources', 'sinks'],
    additionalProperties: false,
    $defs: {
      sinkKeys,
      source: byType({ kind: 'source', definitions: builtins.sources, common: {}, required: ['type'] }),
      sink: byType({
        kind: 'sink',
        definitions: builtins.sinks,
        common: { ...sinkReferences, ...references('sinkKeys', sinkKeys) },
        required: ['type', 'inputs'],
      }),
      buffer: byType({ kind: 'buffer', definitions: builtins.buffers, common: {}, required: [], defaultType: 'disk' }),
      bufferOrChain: {
        anyOf: [
          { $ref: '#/$defs/buffer' },
          {
            type: 'array',
            minItems: 1,
            items: { $ref: '#/$defs/buffer' },
            description: 'An overflow chain: each but the last has `when_full: overflow`.',
          },
        ],
      },
    },
  };
}

const sinkReferences: Properties = {
  inputs: {
    description: 'Ids of the sources that feed the sink. `*` stands for any characters.',
    anyOf: [{ type: 'array', items: { type: 'string' }, minItems: 1 }, { type: 'string' }],
  },
  buffer: {
    description:
      'The buffer in front of the sink: its options, the id of one under `buffers`, or a list, which is an overflow ' +
      'chain. On disk by default.',
    anyOf: [{ $ref: '#/$defs/bufferOrChain' }, { type: 'string' }],
  },
};

/** Keys that stand in the block of every type are written out once. */
function references(name: string, properties: Properties): Properties {
  return Object.fromEntries(Object.keys(properties).map((key) => [key, { $ref: `#/$defs/${name}/${key}` }]));
}

function section(description: string, block: JsonSchema): JsonSchema {
  return { description, type: 'object', propertyNames: { pattern: idPattern }, additionalProperties: block };
}

interface Union {
  readonly kind: PluginDefinition['kind'];
  readonly definitions: readonly PluginDefinition[];
  /** Keys that all of this kind have. */
  readonly common: Properties;
  readonly required: readonly string[];
  /** What a block without a type is. */
  readonly defaultType?: string;
}

/** One branch for each type that is there, and one for those of plugins, whose own keys nobody knows here. */
function byType({ kind, definitions, common, required, defaultType }: Union): JsonSchema {
  const types = definitions.map(({ type }) => type);
  const branches = definitions.map((definition) => {
    const own = objectSchema(definition.schema);
    const type = { const: definition.type };
    const properties = { type, ...common, ...(kind === 'buffer' ? withOverflow(own.properties) : own.properties) };
    return {
      if: { properties: { type }, ...(definition.type === defaultType ? {} : { required: ['type'] }) },
      // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
      then: { properties, required: [...required, ...own.required], additionalProperties: own.additionalProperties },
    };
  });
  return {
    type: 'object',
    properties: {
      type: {
        description: `The type of the ${kind}: a built-in, the name of a plugin, or the path of a local one.`,
        anyOf: [{ enum: types }, { type: 'string' }],
        ...(defaultType === undefined ? {} : { default: defaultType }),
      },
      ...common,
    },
    required,
    allOf: branches,
  };
}

/** In a chain the buffer need not know of the next one. */
function withOverflow(properties: Properties): Properties {
  const { when_full: whenFull = {}, ...others } = properties;
  const { description, default: byDefault, ...values } = whenFull;
  const overflow = { const: 'overflow', description: 'In a list: what does not fit goes to the next buffer.' };
  return { ...others, when_full: { description, default: byDefault, anyOf: [values, overflow] } };
}

interface ObjectSchema {
  readonly properties: Properties;
  readonly required: readonly string[];
  /** Of keys that are not in `properties`. */
  readonly additionalProperties: unknown;
}

/** The keys of an object's schema as JSON Schema, `<key>_file` for secrets among them. */
export function objectSchema(schema: ZodType): ObjectSchema {
  const json = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any', override: completed }) as JsonSchema;
  return {
    properties: (json['properties'] ?? {}) as Properties,
    required: (json['required'] ?? []) as readonly string[],
    additionalProperties: json['additionalProperties'] ?? true,
  };
}

interface Override {
  readonly zodSchema: unknown;
  readonly jsonSchema: Record<string, unknown>;
}

const leafTypes: ReadonlySet<unknown> = new Set(['number', 'integer', 'boolean']);

function completed({ zodSchema, jsonSchema }: Override): void {
  addDefault(structureOf(zodSchema as ZodType), jsonSchema);
  addSecretFiles(jsonSchema);
  const { type } = jsonSchema;
  if (!leafTypes.has(type) && jsonSchema['enum'] === undefined && jsonSchema['pattern'] === undefined) return;
  // `port: ${PORT}` is text to an editor.
  const { description, default: shown, format, ...rest } = jsonSchema;
  for (const key of Object.keys(rest)) delete jsonSchema[key];
  jsonSchema['anyOf'] = [rest, variable];
}

/** As one would write it: a default that stands behind a conversion is in milliseconds, or in bytes. */
function addDefault(structure: SchemaStructure, jsonSchema: Record<string, unknown>): void {
  const { type, defaultValue } = structure;
  if (type === 'default' && jsonSchema['default'] === undefined) {
    const isSeconds = jsonSchema['format'] === 'seconds' && typeof defaultValue === 'number';
    jsonSchema['default'] = isSeconds ? defaultValue / 1000 : defaultValue;
  }
  if (jsonSchema['format'] === 'byte-size') jsonSchema['default'] = sizeText(jsonSchema['default']);
  // Infinity, which JSON does not have: the description says that there is no limit.
  const { default: shown } = jsonSchema;
  if (shown === null || shown === undefined || shown === Number.POSITIVE_INFINITY) delete jsonSchema['default'];
}

function sizeText(bytes: unknown): unknown {
  const units = { GiB: 2 ** 30, MiB: 2 ** 20, KiB: 2 ** 10 };
  for (const [unit, size] of Object.entries(units)) {
    if (typeof bytes === 'number' && bytes > 0 && bytes % size === 0) return `${bytes / size}${unit}`;
  }
  return bytes;
}

function addSecretFiles(jsonSchema: Record<string, unknown>): void {
  const properties = jsonSchema['properties'] as Record<string, JsonSchema> | undefined;
  if (properties === undefined) return;
  for (const [key, property] of Object.entries(properties)) {
    if (property['format'] !== 'secret' || properties[`${key}_file`] !== undefined) continue;
    properties[`${key}_file`] = { type: 'string', description: `A file that holds \`${key}\`, in its place.` };
    const required = jsonSchema['required'] as readonly string[] | undefined;
    if (required !== undefined) jsonSchema['required'] = required.filter((each) => each !== key);
  }
}
