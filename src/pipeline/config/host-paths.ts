// Makes paths in options absolute: they start at the folder of the config file, wherever the program was started.

import { resolve } from 'node:path';
import type { ZodType } from 'zod';
import { isHomePath } from '../contract/values.ts';
import type { ConfigNode, ConfigPath, MapEntry, MapNode } from './config-node.ts';
import { isHostPath, schemasAt } from './schema-shape.ts';

interface PathOptions {
  readonly schema: ZodType;
  readonly baseDirectory: string;
}

export function absolutePaths(block: MapNode, options: PathOptions): MapNode {
  return absoluteMap(block, [], options);
}

function absoluteMap(map: MapNode, path: ConfigPath, options: PathOptions): MapNode {
  const entries = new Map<string, MapEntry>();
  for (const [key, entry] of map.entries) {
    entries.set(key, { ...entry, node: absoluteNode(entry.node, [...path, key], options) });
  }
  return { ...map, entries };
}

function absoluteNode(node: ConfigNode, path: ConfigPath, options: PathOptions): ConfigNode {
  if (node.kind === 'map') return absoluteMap(node, path, options);
  if (node.kind === 'list') {
    return { ...node, items: node.items.map((item, index) => absoluteNode(item, [...path, index], options)) };
  }
  const value = node.untyped ?? node.value;
  if (typeof value !== 'string' || value === '' || !schemasAt(options.schema, path).some(isHostPath)) return node;
  if (isHomePath(value)) return node; // Refused by the schema, as it was written.
  const absolute = resolve(options.baseDirectory, value);
  // A slash at the end says "a directory", to whoever refuses one.
  return { ...node, value: value.endsWith('/') && absolute !== '/' ? `${absolute}/` : absolute };
}
