// Looks into a zod schema: which keys an object has, what a path leads to, what is a secret. Plugins may bring a zod of
// their own, so schemas are known by their structure (`_zod.def`), never by class.

import type { ZodType } from 'zod';
import type { ConfigPath } from './config-node.ts';

/** No options are nested deeper; a schema may be recursive. */
const nestingMax = 4;

/** What a schema says of itself, as far as it is needed here. */
export interface SchemaStructure {
  readonly type: string;
  readonly shape?: Readonly<Record<string, ZodType>>;
  readonly innerType?: ZodType;
  readonly in?: ZodType;
  readonly out?: ZodType;
  readonly element?: ZodType;
  readonly items?: readonly ZodType[];
  readonly valueType?: ZodType;
  readonly options?: readonly ZodType[];
  readonly left?: ZodType;
  readonly right?: ZodType;
  readonly getter?: () => ZodType;
  readonly defaultValue?: unknown;
  /** What an object does with other keys; undefined: it drops them. */
  readonly catchall?: ZodType;
  readonly values?: readonly unknown[];
  readonly entries?: Readonly<Record<string, unknown>>;
}

/** A schema and all that it wraps or chooses from: the layers at which a value may be met. */
export function layers(schema: ZodType): ZodType[] {
  const found: ZodType[] = [];
  const waiting = [schema];
  for (let next = waiting.shift(); next !== undefined && found.length < 1000; next = waiting.shift()) {
    if (found.includes(next)) continue;
    found.push(next);
    const { innerType, in: input, out, options, left, right, getter } = structureOf(next);
    // A pipe reads what its input reads; z.preprocess has its schema behind it.
    const inside = [innerType, input, out, left, right, getter?.(), ...(options ?? [])];
    waiting.push(...inside.filter((each) => each !== undefined));
  }
  return found;
}

/** The schemas that one step leads to. */
function step(schema: ZodType, key: string | number): ZodType[] {
  return layers(schema).flatMap((layer) => {
    const { type, shape, element, items, valueType } = structureOf(layer);
    if (type === 'object') return shape !== undefined && Object.hasOwn(shape, key) ? [shape[key] as ZodType] : [];
    if (type === 'record' && valueType !== undefined) return [valueType];
    if (type === 'array' && element !== undefined) return [element];
    return type === 'tuple' ? [items?.[Number(key)]].filter((each) => each !== undefined) : [];
  });
}

/** The schemas that a path leads to; none where the schema says nothing of it. */
export function schemasAt(schema: ZodType, path: ConfigPath): ZodType[] {
  let schemas = [schema];
  for (const key of path) schemas = schemas.flatMap((each) => step(each, key));
  return schemas;
}

/** The keys of the object that this schema is, or of all objects that it may be. */
export function keysOf(schema: ZodType): string[] {
  return [...new Set(layers(schema).flatMap((layer) => Object.keys(structureOf(layer).shape ?? {})))];
}

/** The values that may stand there, as far as the schema lists them. */
export function valuesAt(schema: ZodType, path: ConfigPath): unknown[] {
  const found = schemasAt(schema, path).flatMap(layers).map(structureOf);
  return [...new Set(found.flatMap(({ values = [], entries = {} }) => [...values, ...Object.values(entries)]))];
}

/** Whether a value there is never printed. */
export function isSecret(schema: ZodType): boolean {
  return hasFormat(schema, 'secret');
}

/** Whether a value there is a path of the host. */
export function isHostPath(schema: ZodType): boolean {
  return hasFormat(schema, 'path');
}

/** A kind of value of contract/values.ts. */
function hasFormat(schema: ZodType, format: string): boolean {
  return layers(schema).some((layer) => layer.meta?.()?.['format'] === format);
}

/** Whether anything in the path, or its end, is a secret: what is inside a secret is one, too. */
export function isSecretAt(schema: ZodType, path: ConfigPath): boolean {
  return path.some((_, index) => schemasAt(schema, path.slice(0, index + 1)).some(isSecret));
}

/** Whether a map that stands there may hold a secret: then what stands in its place by mistake may be one. */
export function holdsSecretAt(schema: ZodType, path: ConfigPath): boolean {
  return schemasAt(schema, path).some((each) => holdsSecret(each, 0));
}

function holdsSecret(schema: ZodType, depth: number): boolean {
  if (depth > nestingMax) return false;
  return layers(schema).some((layer) => {
    const { shape = {}, valueType, element } = structureOf(layer);
    const inside = [...Object.values(shape), valueType, element].filter((each) => each !== undefined);
    return inside.some((each) => isSecret(each) || holdsSecret(each, depth + 1));
  });
}

/** Where objects in this schema have a key of that name, at any depth. */
export function pathsOfKey(schema: ZodType, key: string): string[][] {
  return pathsBelow(schema, key, []);
}

function pathsBelow(schema: ZodType, key: string, path: readonly string[]): string[][] {
  if (path.length > nestingMax) return [];
  return layers(schema).flatMap((layer) =>
    Object.entries(structureOf(layer).shape ?? {}).flatMap(([name, inner]) => {
      const below = pathsBelow(inner, key, [...path, name]);
      return name === key ? [[...path, name], ...below] : below;
    }),
  );
}

/** The keys of all objects inside this one. */
export function keysBelow(schema: ZodType, depth: number = nestingMax): string[] {
  if (depth === 0) return [];
  const inside = keysOf(schema).flatMap((key) => schemasAt(schema, [key]));
  return [...new Set(inside.flatMap((each) => [...keysOf(each), ...keysBelow(each, depth - 1)]))];
}

/** What the schema says a value there is for, as far as the first sentence. */
export function descriptionAt(schema: ZodType, path: ConfigPath): string | undefined {
  const descriptions = schemasAt(schema, path).flatMap(layers);
  const text = descriptions.map((layer) => layer.meta?.()?.description).find((each) => each !== undefined);
  return text?.replace(/[.;] [\s\S]*$|\.$/, '');
}

/** The kinds of values of contract/values.ts that may stand there. */
export function formatsAt(schema: ZodType, path: ConfigPath): string[] {
  const formats = schemasAt(schema, path).flatMap(layers);
  return formats.flatMap((layer) => layer.meta?.()?.['format'] ?? []).map(String);
}

export function structureOf(schema: ZodType): SchemaStructure {
  return schema._zod.def as unknown as SchemaStructure;
}
