// Reads secrets from files: `password_file: /run/secrets/password` in place of `password`. Any option that its schema
// calls a secret has such a key, at any depth, without the plugin knowing of it.

import { resolve } from 'node:path';
import type { ZodType } from 'zod';
import type { HostFiles } from '../../platform/host-files.ts';
import type { ConfigIssues } from './config-issues.ts';
import type { ConfigNode, ConfigPath, MapEntry, MapNode, ScalarNode } from './config-node.ts';
import { isSecret, schemasAt } from './schema-shape.ts';

const suffix = '_file';

interface SecretFilesOptions {
  readonly schema: ZodType;
  /** Of the block in the config. */
  readonly path: ConfigPath;
  readonly baseDirectory: string;
  readonly files: HostFiles;
  readonly issues: ConfigIssues;
}

/** The block with each `<key>_file` replaced by `<key>` and what the file holds, less one newline at its end. */
export async function readSecretFiles(block: MapNode, options: SecretFilesOptions): Promise<MapNode> {
  return await readMap(block, [], options);
}

async function readNode(node: ConfigNode, path: ConfigPath, options: SecretFilesOptions): Promise<ConfigNode> {
  if (node.kind === 'map') return await readMap(node, path, options);
  if (node.kind === 'scalar') return node;
  const items: ConfigNode[] = [];
  for (const [index, item] of node.items.entries()) items.push(await readNode(item, [...path, index], options));
  return { ...node, items };
}

async function readMap(map: MapNode, path: ConfigPath, options: SecretFilesOptions): Promise<MapNode> {
  const entries = new Map<string, MapEntry>();
  for (const [key, entry] of map.entries) {
    const secretKey = secretOf(key, path, options.schema);
    if (secretKey === undefined) {
      entries.set(key, { ...entry, node: await readNode(entry.node, [...path, key], options) });
      continue;
    }
    if (map.entries.has(secretKey)) {
      const message = `both "${secretKey}" and "${key}" are given; expected one of them`;
      options.issues.error({ path: [...options.path, ...path, key], place: entry.keyPlace, message });
      continue;
    }
    entries.set(secretKey, { ...entry, node: await readSecret(entry.node, [...path, key], options) });
  }
  return { ...map, entries };
}

/** The key of the secret that this one names the file of. A key that the schema has itself means what it says there. */
function secretOf(key: string, path: ConfigPath, schema: ZodType): string | undefined {
  if (!key.endsWith(suffix) || schemasAt(schema, [...path, key]).length > 0) return undefined;
  const secretKey = key.slice(0, -suffix.length);
  return schemasAt(schema, [...path, secretKey]).some(isSecret) ? secretKey : undefined;
}

async function readSecret(node: ConfigNode, path: ConfigPath, options: SecretFilesOptions): Promise<ScalarNode> {
  const { issues, files, baseDirectory } = options;
  const broken: ScalarNode = {
    kind: 'scalar',
    place: node.place,
    value: null,
    origin: { kind: 'secret_file' },
    untyped: undefined,
    isBroken: true,
  };
  if (node.kind === 'scalar' && node.isBroken) return broken;
  const where = { path: [...options.path, ...path], place: node.place };
  const name = node.kind === 'scalar' ? (node.untyped ?? node.value) : undefined;
  if (typeof name !== 'string' || name === '') {
    issues.error({ ...where, message: 'expected the path of a file that holds the secret' });
    return broken;
  }
  // A path from a variable is not printed: the wrong variable may hold the secret itself.
  const shown = node.kind === 'scalar' && node.origin.kind === 'written' ? resolve(baseDirectory, name) : 'it names';
  try {
    const text = await files.readText(resolve(baseDirectory, name));
    if (text === undefined) {
      issues.unreadable({ ...where, message: `the file ${shown} does not exist; expected it to hold the secret` });
      return broken;
    }
    if (text.includes('\ufffd')) {
      issues.error({ ...where, message: `the file ${shown} holds bytes that are not UTF-8; expected text` });
      return broken;
    }
    return { ...broken, value: text.replace(/\r?\n$/, ''), isBroken: false };
  } catch {
    issues.unreadable({ ...where, message: `the file ${shown} cannot be read; expected it to hold the secret` });
    return broken;
  }
}
