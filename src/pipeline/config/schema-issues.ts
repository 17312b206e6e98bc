// Says in words what a schema found wrong, with the place in the file: expected, found, and what was probably meant.
//
// Sentences are made here from zod's codes, not taken from zod: they name no value that came from a variable or that
// the schema calls a secret. Only a plugin's own sentences are passed on, and what must not be seen is cut out of them.

import type { ZodType, z } from 'zod';
import type { ConfigIssues } from './config-issues.ts';
import { type ConfigNode, type ConfigPath, find, type Place, pathText } from './config-node.ts';
import { expectation, keysText, list, listedMax, numberMeant, oneOf, valueNames } from './expectation.ts';
import { foundText, HiddenValues, isHidden } from './found-text.ts';
import {
  descriptionAt,
  formatsAt,
  isSecret,
  keysBelow,
  keysOf,
  pathsOfKey,
  schemasAt,
  valuesAt,
} from './schema-shape.ts';
import type { DroppedKeys } from './strict-keys.ts';
import { closest, suggestion } from './suggestion.ts';

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
  /** What else stands in the same block, for keys at the wrong level. */
  readonly beside: readonly BesideSchema[];
  /** What the block is called in a sentence: `a sink of type redis`. */
  readonly subject: string;
  /** A better answer than "unknown key", if there is one. */
  readonly explain?: (key: string, path: ConfigPath) => string | undefined;
}

export interface BesideSchema {
  /** Below the block. */
  readonly under: readonly string[];
  readonly schema: ZodType;
}

/** What many things have: where one of these is meant to be, nobody can tell. */
const commonNames: ReadonlySet<string> = new Set(['path', 'enabled', 'type', 'name']);

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
    this.#hidden = new HiddenValues(block.node, (path, node) => isHidden(block.schema, path, node));
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
    const own = schemasAt(this.#block.schema, path).flatMap(keysOf);
    const others = isTop ? this.#block.otherKeys : [];
    const { keyPlace } = this.#find([...path, key]);
    const where = isTop ? this.#block.subject : `"${pathText(path)}"`;
    const meant = suggestion(key, [...own, ...others]);
    const elsewhere = this.#elsewhere(key, path);
    const remedy =
      (isTop ? elsewhere || meant || this.#nearlyElsewhere(key) : meant || elsewhere) || keysText(own, others);
    const message = this.#block.explain?.(key, path) ?? `${where} has no such key${remedy}`;
    this.#issues.error({ path: [...this.#block.path, ...path, key], place: keyPlace, message });
  }

  /** Where the key belongs that stands at the wrong level. */
  #elsewhere(key: string, path: ConfigPath): string {
    if (commonNames.has(key)) return '';
    const found = this.#schemas().flatMap(({ under, schema }) =>
      pathsOfKey(schema, key).map((each) => pathText([...under, ...each].slice(0, -1))),
    );
    const parents = [...new Set(found)].filter((parent) => parent !== pathText(path));
    if (parents.length === 0) return '';
    if (parents.includes('')) return `; it belongs beside "${pathText(path)}", not under it`;
    return `; it belongs under ${parents.map((parent) => `"${parent}"`).join(' or ')}`;
  }

  /** A key at the wrong level that is misspelt as well. */
  #nearlyElsewhere(key: string): string {
    const inner = this.#schemas().flatMap(({ under, schema }) => [
      ...keysBelow(schema),
      ...(under.length === 0 ? [] : keysOf(schema)),
    ]);
    const name = closest(key, inner);
    const elsewhere = name === undefined ? '' : this.#elsewhere(name, []);
    return elsewhere === '' ? '' : `${suggestion(key, inner)}${elsewhere.slice(1)}`;
  }

  #schemas(): readonly BesideSchema[] {
    return [{ under: [], schema: this.#block.schema }, ...this.#block.beside];
  }

  #invalidKey(found: readonly SchemaIssue[], path: ConfigPath): void {
    const { keyPlace } = this.#find(path);
    for (const inner of found) {
      const wrong = isOwn(inner) ? inner.message : `expected ${expectation(inner)}`;
      const message = `the key cannot be called "${String(path.at(-1))}": ${wrong}`;
      this.#issues.error({ path: [...this.#block.path, ...path], place: keyPlace, message });
    }
  }

  #missing(path: ConfigPath, issue: SchemaIssue): void {
    const key = String(path.at(-1));
    const { place } = this.#find(path);
    const file = schemasAt(this.#block.schema, path).some(isSecret) ? `, or the key "${key}_file"` : '';
    const description = descriptionAt(this.#block.schema, path);
    const meaning = description === undefined ? '' : ` (${description})`;
    const message = `the key "${key}" is missing; expected ${this.#expected(issue, path)}${file}${meaning}`;
    this.#issues.error({ path: [...this.#block.path, ...path], place, message });
  }

  #sentence(issue: SchemaIssue, path: ConfigPath): string {
    if (isOwn(issue)) {
      const own = this.#hidden.cutOut(issue.message);
      return own.startsWith('expected') ? `${own}; found ${this.#found(path)}` : own;
    }
    return `expected ${this.#expected(issue, path)}; found ${this.#found(path)}${this.#meant(issue, path)}`;
  }

  #expected(issue: SchemaIssue, path: ConfigPath): string {
    if (issue.code !== 'invalid_type') return expectation(issue);
    const { schema } = this.#block;
    const kind = formatsAt(schema, path).find((format) => Object.hasOwn(valueNames, format));
    if (kind !== undefined) return valueNames[kind] as string;
    const keys = issue.expected === 'object' ? [...new Set(schemasAt(schema, path).flatMap(keysOf))] : [];
    const listed = keys.length > 0 && keys.length <= listedMax ? ` with ${list(keys)}` : '';
    return `${expectation(issue)}${listed}`;
  }

  /** What to write instead, where the value is nearly right. */
  #meant(issue: SchemaIssue, path: ConfigPath): string {
    if (issue.code === 'invalid_value') return this.#suggestion(path, issue.values);
    if (issue.code !== 'invalid_type') return '';
    const { node } = this.#find(path);
    const isWritten = node?.kind === 'scalar' && node.origin.kind === 'written' && node.value !== null;
    const text = this.#writtenText(path) ?? '';
    switch (issue.expected) {
      case 'string':
        return isWritten && typeof node.value !== 'string' && this.#expected(issue, path) === 'text'
          ? '; put it in quotes'
          : '';
      case 'number':
      case 'int':
        return numberMeant(text);
      case 'boolean':
        return /^(?:yes|no|on|off)$/i.test(text) ? '; YAML 1.2 knows true and false only' : '';
      case 'array':
        return isWritten ? '; a list of one stands in [ ], too' : '';
      default:
        return '';
    }
  }

  #suggestion(path: ConfigPath, values: readonly unknown[]): string {
    const text = this.#writtenText(path);
    return text === undefined ? '' : suggestion(text, values.map(String));
  }

  /** What stands in the file as text and may be shown. */
  #writtenText(path: ConfigPath): string | undefined {
    const { node } = this.#find(path);
    if (node?.kind !== 'scalar' || typeof node.value !== 'string' || node.origin.kind !== 'written') return undefined;
    return isHidden(this.#block.schema, path, node) ? undefined : node.value;
  }

  /** The branch that came furthest says what is wrong; if none got in, what could stand here is said. */
  #union(issue: SchemaIssue & { readonly code: 'invalid_union' }, path: ConfigPath): void {
    if (isOwn(issue)) {
      this.#say(path, this.#sentence(issue, path));
      return;
    }
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
    return foundText(node, isHidden(this.#block.schema, path, node));
  }

  #say(path: ConfigPath, message: string): void {
    const { place } = this.#find(path);
    this.#issues.error({ path: [...this.#block.path, ...path], place, message });
  }

  #find(path: ConfigPath): ReturnType<typeof find> {
    return find(this.#block.node, this.#block.place, path);
  }
}

/** Whether whoever wrote the schema says it in their own words: zod's begin otherwise. */
function isOwn(issue: SchemaIssue): boolean {
  return issue.code === 'custom' || issue.message.startsWith('expected ');
}

function isAtDoor(issue: SchemaIssue): boolean {
  return issue.path.length === 0 && (issue.code === 'invalid_type' || issue.code === 'invalid_value');
}
