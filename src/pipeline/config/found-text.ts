// Shows a value of the config in a message, unless it must not be seen: values of variables, secrets, passwords
// in URLs.

import type { ZodType } from 'zod';
import type { ConfigNode, ConfigPath, ScalarNode } from './config-node.ts';
import { holdsSecretAt, isSecretAt } from './schema-shape.ts';

const shownCharactersMax = 60;

/** `"blok"`, `12`, `<from $PORT>`, `<secret>`, `a map`. */
export function foundText(node: ConfigNode | undefined, isSecret: boolean): string {
  if (node === undefined) return 'nothing';
  if (node.kind === 'map') return 'a map';
  if (node.kind === 'list') return node.items.length === 0 ? 'an empty list' : 'a list';
  if (node.origin.kind === 'variable') return `<from ${node.origin.names.map((name) => `$${name}`).join(', ')}>`;
  if (node.value === null) return 'nothing';
  if (node.origin.kind === 'secret_file' || isSecret) return '<secret>';
  if (typeof node.value !== 'string') return String(node.value);
  const text = withoutAccount(node.value);
  return JSON.stringify(text.length > shownCharactersMax ? `${text.slice(0, shownCharactersMax)}...` : text);
}

/** A URL without the user and the password in it, also where it is none because its beginning is wrong. */
function withoutAccount(text: string): string {
  if (text.includes('//')) return text.replaceAll(/\/\/\S*@/g, '//<secret>@');
  return text.replaceAll(/[^\s/]*:\S*@/g, '<secret>@');
}

/** Whether this value must not be seen: a secret, or text where a map with one was expected. */
export function isHidden(schema: ZodType, path: ConfigPath, node: ConfigNode | undefined): boolean {
  if (isSecretAt(schema, path)) return true;
  const mayBeOne = node?.kind === 'scalar' && typeof node.value !== 'boolean' && node.value !== null;
  return mayBeOne && holdsSecretAt(schema, path);
}

type HideRule = (path: ConfigPath, node: ScalarNode) => boolean;

/** Values of a block that must not be seen, to be cut out of sentences that others wrote. */
export class HiddenValues {
  readonly #hidden: { readonly value: string; readonly shown: string }[] = [];

  constructor(node: ConfigNode, isSecret: HideRule) {
    this.#collect(node, [], isSecret);
    // The longest first: it may hold a shorter one.
    this.#hidden.sort((left, right) => right.value.length - left.value.length);
  }

  cutOut(sentence: string): string {
    let result = sentence;
    for (const { value, shown } of this.#hidden) result = result.replaceAll(value, () => shown);
    return result;
  }

  #collect(node: ConfigNode, path: ConfigPath, isSecret: HideRule): void {
    if (node.kind === 'map') {
      for (const [key, entry] of node.entries) this.#collect(entry.node, [...path, key], isSecret);
    } else if (node.kind === 'list') {
      for (const [index, item] of node.items.entries()) this.#collect(item, [...path, index], isSecret);
    } else if (node.origin.kind !== 'written' || isSecret(path, node)) {
      const values = new Set([String(node.value ?? ''), node.untyped ?? ''].filter((value) => value !== ''));
      for (const value of values) this.#hidden.push({ value, shown: foundText(node, true) });
    }
  }
}
