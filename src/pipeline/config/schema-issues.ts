// Says in words what a schema found wrong, with the place in the file: expected, found, and what was probably meant.
//
// Sentences are made here from zod's codes, not taken from zod: they name no value that came from a variable or that
// the schema calls a secret. Only a plugin's own sentences are passed on, and what must not be seen is cut out of them.

import type { ZodType, z } from 'zod';
import type { ConfigIssues } from './config-issues.ts';
import { type ConfigNode, type ConfigPath, find, type Place, pathText } from './config-node.ts';
import { foundText, HiddenValues } from './found-text.ts';
import { isSecret, isSecretAt, keysOf, schemasAt, valuesAt } from './schema-shape.ts';
import type { DroppedKeys } from './strict-keys.ts';
import { suggestion } from './suggestion.ts';

type SchemaIssue = z.core.$ZodIssue;

export interface CheckedBlock {
  readonly schema: ZodType;
  readonly node: ConfigNode;
  /** Where the block is in the config. */
  readonly path: ConfigPath;
  /** Of the key that names the block. */
  readonly place: Place;
  /** Keys of the block that are not the schema's, for suggestions. */
  readonly otherKeys: readonly string[];
  /** What the block is called in a sentence: `a sink of type redis`. */
  readonly subject: string;
  /** A better answer than "unknown key", if there is one. */
  readonly explain?: (key: string, path: ConfigPath) => string | undefined;
}

export function reportSchemaIssues(issues: ConfigIssues, block: CheckedBlock, found: readonly SchemaIssue[]): void {
  const reporter = new SchemaIssueReporter(issues, block);
  for (const issue of found) reporter.report(issue, []);
}

/** Of keys that the schema itself would not complain of. */
export function reportUnknownKeys(issues: ConfigIssues, block: CheckedBlock, found: readonly DroppedKeys[]): void {
  const reporter = new SchemaIssueReporter(issues, block);
  for (const { path, keys } of found) for (const key of keys) reporter.unknownKey(key, path);
}

class SchemaIssueReporter {
  readonly #issues: ConfigIssues;
  readonly #block: CheckedBlock;
  readonly #hidden: HiddenValues;

  constructor(issues: ConfigIssues, block: CheckedBlock) {
    this.#issues = issues;
    this.#block = block;
    this.#hidden = new HiddenValues(block.node, (path) => isSecretAt(block.schema, path));
  }

  report(issue: SchemaIssue, parents: ConfigPath): void {
    const path: ConfigPath = [...parents, ...(issue.path as (string | number)[])];
    const { node } = this.#find(path);
    if (node?.kind === 'scalar' && node.isBroken) return; // Said already, by whoever broke it.
    switch (issue.code) {
      case 'unrecognized_keys':
        for (const key of issue.keys) this.unknownKey(key, path);
        return;
      case 'invalid_union':
        this.#union(issue, path);
        return;
      case 'invalid_key':
        this.#invalidKey(issue.issues as SchemaIssue[], path);
        return;
      case 'invalid_element':
        for (const inner of issue.issues) this.report(inner as SchemaIssue, path);
        return;
      default:
        if (node === undefined && issue.code === 'invalid_type') this.#missing(path, issue);
        else this.#say(path, this.#sentence(issue, path));
    }
  }

  unknownKey(key: string, path: ConfigPath): void {
    const isTop = path.length === 0;
    const known = [...schemasAt(this.#block.schema, path).flatMap(keysOf), ...(isTop ? this.#block.otherKeys : [])];
    const { keyPlace } = this.#find([...path, key]);
    const where = isTop ? this.#block.subject : `"${pathText(path)}"`;
    const message =
      this.#block.explain?.(key, path) ??
      `${where} has no such key${suggestion(key, known) || (known.length === 0 ? '' : `; it has ${list(known)}`)}`;
    this.#issues.error({ path: [...this.#block.path, ...path, key], place: keyPlace, message });
  }

  #invalidKey(found: readonly SchemaIssue[], path: ConfigPath): void {
    const { keyPlace } = this.#find(path);
    for (const inner of found) {
      const wrong = inner.code === 'custom' ? inner.message : `expected ${expectation(inner)}`;
      const message = `the key cannot be called "${String(path.at(-1))}": ${wrong}`;
      this.#issues.error({ path: [...this.#block.path, ...path], place: keyPlace, message });
    }
  }

  #missing(path: ConfigPath, issue: SchemaIssue): void {
    const key = String(path.at(-1));
    const { place } = this.#find(path);
    const file = schemasAt(this.#block.schema, path).some(isSecret) ? `, or the key "${key}_file"` : '';
    const message = `the key "${key}" is missing; expected ${expectation(issue)}${file}`;
    this.#issues.error({ path: [...this.#block.path, ...path], place, message });
  }

  #sentence(issue: SchemaIssue, path: ConfigPath): string {
    if (issue.code === 'custom') {
      const own = this.#hidden.cutOut(issue.message);
      return own.startsWith('expected') ? `${own}; found ${this.#found(path)}` : own;
    }
    const { node } = this.#find(path);
    const isNumber =
      node?.kind === 'scalar' && node.origin.kind === 'written' && typeof (node.value ?? '') !== 'string';
    const remedy = issue.code === 'invalid_type' && issue.expected === 'string' && isNumber ? '; put it in quotes' : '';
    return `expected ${expectation(issue)}; found ${this.#found(path)}${remedy}${this.#meant(issue, path)}`;
  }

  #meant(issue: SchemaIssue, path: ConfigPath): string {
    if (issue.code === 'invalid_value') return this.#suggestion(path, issue.values);
    const isWordForTruth = /^(?:yes|no|on|off)$/i.test(this.#writtenText(path) ?? '');
    return issue.code === 'invalid_type' && issue.expected === 'boolean' && isWordForTruth
      ? '; YAML 1.2 knows true and false only'
      : '';
  }

  #suggestion(path: ConfigPath, values: readonly unknown[]): string {
    const text = this.#writtenText(path);
    return text === undefined ? '' : suggestion(text, values.map(String));
  }

  /** What stands in the file as text and may be shown. */
  #writtenText(path: ConfigPath): string | undefined {
    const { node } = this.#find(path);
    if (node?.kind !== 'scalar' || typeof node.value !== 'string' || node.origin.kind !== 'written') return undefined;
    return isSecretAt(this.#block.schema, path) ? undefined : node.value;
  }

  /** The branch that came furthest says what is wrong; if none got in, what could stand here is said. */
  #union(issue: SchemaIssue & { readonly code: 'invalid_union' }, path: ConfigPath): void {
    const branches = issue.errors as SchemaIssue[][];
    const entered = branches.filter((branch) => branch.every((each) => !isAtDoor(each)));
    const best = entered.toSorted((left, right) => left.length - right.length)[0];
    if (best !== undefined) {
      for (const inner of best) this.report(inner, path);
      return;
    }
    const doors = branches.flatMap((branch) => branch.filter(isAtDoor));
    // A union by a key, such as "type", has no branches for a value that names none.
    const values = [
      ...doors.flatMap((door) => (door.code === 'invalid_value' ? door.values : [])),
      ...(doors.length === 0 ? valuesAt(this.#block.schema, path) : []),
    ];
    const expected = doors.length === 0 ? oneOf(values) : [...new Set(doors.map(expectation))].join(' or ');
    const { node } = this.#find(path);
    if (node === undefined) {
      this.#say(path, `the key "${String(path.at(-1))}" is missing; expected ${expected}`);
    } else {
      this.#say(path, `expected ${expected}; found ${this.#found(path)}${this.#suggestion(path, values)}`);
    }
  }

  #found(path: ConfigPath): string {
    const { node } = this.#find(path);
    return foundText(node, isSecretAt(this.#block.schema, path));
  }

  #say(path: ConfigPath, message: string): void {
    const { place } = this.#find(path);
    this.#issues.error({ path: [...this.#block.path, ...path], place, message });
  }

  #find(path: ConfigPath): ReturnType<typeof find> {
    return find(this.#block.node, this.#block.place, path);
  }
}

function isAtDoor(issue: SchemaIssue): boolean {
  return issue.path.length === 0 && (issue.code === 'invalid_type' || issue.code === 'invalid_value');
}

const typeNames: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  object: 'a map',
  record: 'a map',
  array: 'a list',
  null: 'nothing',
  undefined: 'nothing',
};

const formatNames: Readonly<Record<string, string>> = {
  url: 'a URL',
  email: 'an e-mail address',
  uuid: 'a UUID',
  ipv4: 'an IPv4 address',
  ipv6: 'an IPv6 address',
  regex: 'text of another form',
  duration: 'a duration',
  datetime: 'a date and time',
};

function expectation(issue: SchemaIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return typeNames[issue.expected] ?? `a value of type ${issue.expected}`;
    case 'invalid_value':
      return oneOf(issue.values);
    case 'too_small':
      return limit(issue.origin, `${issue.inclusive === false ? 'more than' : 'at least'} ${issue.minimum}`);
    case 'too_big':
      return limit(issue.origin, `${issue.inclusive === false ? 'less than' : 'at most'} ${issue.maximum}`);
    case 'not_multiple_of':
      return `a multiple of ${issue.divisor}`;
    case 'invalid_format':
      return formatNames[issue.format] ?? `text in the form "${issue.format}"`;
    default:
      return 'another value';
  }
}

function oneOf(values: readonly unknown[]): string {
  if (values.length === 0) return 'another value';
  return values.length === 1 ? shown(values[0]) : `one of ${values.map(shown).join(', ')}`;
}

function limit(origin: string, bound: string): string {
  const units: Readonly<Record<string, string>> = { string: ' characters', array: ' items', set: ' items' };
  if (origin === 'string' && bound === 'at least 1') return 'text that is not empty';
  return `${bound}${units[origin] ?? (origin === 'object' || origin === 'map' ? ' keys' : '')}`;
}

function shown(value: unknown): string {
  return typeof value === 'string' ? `"${value}"` : String(value);
}

function list(keys: readonly string[]): string {
  return keys.toSorted().join(', ');
}
