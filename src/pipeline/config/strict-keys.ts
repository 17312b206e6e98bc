// Finds keys that a schema would drop without a word: `z.object` does, unless it is strict. A misspelt key that is
// passed over in silence is the worst mistake that a config can have: a schema is held to the keys it lists.

import type { ZodType } from 'zod';
import type { ConfigNode, ConfigPath } from './config-node.ts';
import { layers, schemasAt, structureOf } from './schema-shape.ts';

export interface DroppedKeys {
  readonly path: ConfigPath;
  readonly keys: readonly string[];
}

/** Keys of maps that no schema there knows, where none would have said so. */
export function droppedKeys(schema: ZodType, node: ConfigNode, path: ConfigPath = []): DroppedKeys[] {
  if (node.kind === 'scalar') return [];
  if (node.kind === 'list') return node.items.flatMap((item, index) => droppedKeys(schema, item, [...path, index]));
  const known = listedKeys(schemasAt(schema, path));
  const own = known === undefined ? [] : [...node.entries.keys()].filter((key) => !known.has(key));
  const inside = [...node.entries].flatMap(([key, entry]) => droppedKeys(schema, entry.node, [...path, key]));
  return own.length === 0 ? inside : [{ path, keys: own }, ...inside];
}

/** The keys of objects that drop others; undefined if any other kind of schema may take the map. */
function listedKeys(schemas: readonly ZodType[]): Set<string> | undefined {
  const takers = schemas
    .flatMap(layers)
    .map(structureOf)
    .filter(({ type }) => takesMaps.has(type));
  const drops = takers.every(({ type, catchall }) => type === 'object' && catchall === undefined);
  return takers.length > 0 && drops ? new Set(takers.flatMap(({ shape = {} }) => Object.keys(shape))) : undefined;
}

const takesMaps: ReadonlySet<string> = new Set(['object', 'record', 'map', 'any', 'unknown', 'custom', 'transform']);
