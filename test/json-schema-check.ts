// Checks a value against a JSON Schema, as far as config.schema.json goes: for tests, which need no validator from
// outside.
type Schema = Readonly<Record<string, unknown>>;

/** The place of the first mismatch, or undefined. An unknown keyword throws: it would be passed over in silence. */
export function mismatch(root: Schema, value: unknown, schema: Schema = root, path = '$'): string | undefined {
  for (const [keyword, rule] of Object.entries(schema)) {
    const check = keywords[keyword];
    if (check === undefined) throw new Error(`no check for the keyword "${keyword}"`);
    const found = check({ root, value, schema, path, rule });
    if (found !== undefined) return found;
  }
  return undefined;
}

interface Check {
  readonly root: Schema;
  readonly value: unknown;
  readonly schema: Schema;
  readonly path: string;
  readonly rule: unknown;
}

type Keyword = (check: Check) => string | undefined;

const isMap = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const nothing: Keyword = () => undefined;
const when = (holds: boolean, path: string, what: string): string | undefined =>
  holds ? undefined : `${path}: ${what}`;
const numeric =
  (holds: (value: number, rule: number) => boolean): Keyword =>
  ({ value, rule, path }) =>
    when(typeof value !== 'number' || holds(value, rule as number), path, `out of range (${String(rule)})`);

function hasType(value: unknown, type: unknown): boolean {
  if (type === 'array') return Array.isArray(value);
  if (type === 'object') return isMap(value);
  if (type === 'integer') return Number.isInteger(value);
  return type === 'null' ? value === null : typeof value === type;
}

const keywords: Readonly<Record<string, Keyword>> = {
  $schema: nothing,
  $defs: nothing,
  title: nothing,
  description: nothing,
  default: nothing,
  format: nothing,
  // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
  then: nothing,
  $ref: ({ root, value, path, rule }) => {
    const target = (rule as string)
      .split('/')
      .slice(1)
      .reduce<unknown>((node, key) => (node as Schema)[key], root);
    return mismatch(root, value, target as Schema, path);
  },
  type: ({ value, rule, path }) =>
    when(
      [rule].flat().some((type) => hasType(value, type)),
      path,
      `no ${String(rule)}`,
    ),
  const: ({ value, rule, path }) => when(value === rule, path, `not ${String(rule)}`),
  enum: ({ value, rule, path }) => when((rule as unknown[]).includes(value), path, `none of ${String(rule)}`),
  pattern: ({ value, rule, path }) =>
    when(typeof value !== 'string' || new RegExp(rule as string, 'u').test(value), path, `not like ${String(rule)}`),
  minLength: ({ value, rule, path }) =>
    when(typeof value !== 'string' || value.length >= (rule as number), path, 'too short'),
  maxLength: ({ value, rule, path }) =>
    when(typeof value !== 'string' || value.length <= (rule as number), path, 'too long'),
  minimum: numeric((value, rule) => value >= rule),
  maximum: numeric((value, rule) => value <= rule),
  exclusiveMinimum: numeric((value, rule) => value > rule),
  exclusiveMaximum: numeric((value, rule) => value < rule),
  minItems: ({ value, rule, path }) => when(!Array.isArray(value) || value.length >= (rule as number), path, 'too few'),
  maxItems: ({ value, rule, path }) =>
    when(!Array.isArray(value) || value.length <= (rule as number), path, 'too many'),
  required: ({ value, rule, path }) => {
    const missing = isMap(value) ? (rule as string[]).find((key) => !Object.hasOwn(value, key)) : undefined;
    return when(missing === undefined, path, `${missing} is missing`);
  },
  properties: ({ root, value, path, rule }) => {
    if (!isMap(value)) return undefined;
    for (const [key, schema] of Object.entries(rule as Record<string, Schema>)) {
      const found = Object.hasOwn(value, key) ? mismatch(root, value[key], schema, `${path}.${key}`) : undefined;
      if (found !== undefined) return found;
    }
    return undefined;
  },
  additionalProperties: ({ root, value, schema, path, rule }) => {
    if (!isMap(value)) return undefined;
    const others = Object.keys(value).filter((key) => !Object.hasOwn((schema['properties'] ?? {}) as object, key));
    if (rule === false) return when(others.length === 0, path, `no key ${others.join()}`);
    return others.map((key) => mismatch(root, value[key], rule as Schema, `${path}.${key}`)).find((each) => each);
  },
  propertyNames: ({ root, value, path, rule }) =>
    isMap(value)
      ? Object.keys(value)
          .map((key) => mismatch(root, key, rule as Schema, path))
          .find((each) => each)
      : undefined,
  items: ({ root, value, path, rule }) =>
    Array.isArray(value)
      ? value.map((item, index) => mismatch(root, item, rule as Schema, `${path}[${index}]`)).find((each) => each)
      : undefined,
  anyOf: ({ root, value, path, rule }) => {
    const found = (rule as Schema[]).map((schema) => mismatch(root, value, schema, path));
    return found.includes(undefined) ? undefined : found.join(' and ');
  },
  oneOf: (check) => keywords['anyOf']?.(check),
  allOf: ({ root, value, path, rule }) =>
    (rule as Schema[]).map((schema) => mismatch(root, value, schema, path)).find((each) => each),
  if: ({ root, value, schema, path, rule }) =>
    mismatch(root, value, rule as Schema, path) === undefined
      ? mismatch(root, value, schema['then'] as Schema, path)
      : undefined,
};
