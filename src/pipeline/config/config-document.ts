// Reads YAML into a tree of nodes with places, and refuses what a config has no use for.
//
// YAML 1.2, core types. One document; keys are text and stand once in a map; no tags, no directives, no merge keys. All
// of those make a file mean something else than it shows. Aliases are followed here, within a budget, because a few
// lines of aliases of aliases name more values than memory holds. Parser messages are not passed on: they quote the
// text, which may be a secret.

import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isScalar,
  type ParsedNode,
  parseAllDocuments,
  type Scalar,
} from 'yaml';
import type { ConfigIssues } from './config-issues.ts';
import type { ConfigNode, ConfigPath, MapEntry, MapNode, Place, ScalarNode } from './config-node.ts';
import type { ScalarReader } from './config-scalar.ts';
import { syntaxMessage } from './yaml-messages.ts';

const depthMax = 64;
/** Values that aliases may stand for, all together. */
const aliasedMax = 10_000;
/** Names that every object has, or that change what an object is. No option is called so. */
const refusedKeys: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);

const tagMessage = 'tags such as !!str are not understood; put text in quotes';

interface DocumentOptions {
  readonly issues: ConfigIssues;
  readonly scalars: ScalarReader;
}

/** The tree, or undefined if there is none worth looking at; why is among the issues. */
export function readDocument(text: string, options: DocumentOptions): MapNode | undefined {
  return new DocumentReader(text, options).read();
}

interface Sized {
  readonly node: ConfigNode;
  /** Values in it, with what its aliases stand for. */
  readonly size: number;
}

class DocumentReader {
  readonly #text: string;
  readonly #issues: ConfigIssues;
  readonly #scalars: ScalarReader;
  /** The offset at which each line begins. The parser's own counter misses lines inside of what it cannot read. */
  readonly #lineStarts: readonly number[];
  /** What each anchor names at this point of the file; undefined while what it names is being read. */
  readonly #anchors = new Map<string, Sized | undefined>();
  #aliased = 0;
  #foundTag = false;

  constructor(text: string, { issues, scalars }: DocumentOptions) {
    this.#text = text;
    this.#lineStarts = [0, ...Array.from(text.matchAll(/\n/g), ({ index }) => index + 1)];
    this.#issues = issues;
    this.#scalars = scalars;
  }

  read(): MapNode | undefined {
    const document = this.#parse();
    if (document === undefined) return undefined;
    const { contents } = document;
    if (contents === null || (isScalar(contents) && contents.value === null)) {
      this.#empty();
      return undefined;
    }
    if (!isMap(contents)) {
      this.#report([], contents, 'expected a map with data_dir, sources and sinks');
      return undefined;
    }
    const { node } = this.#convert(contents, [], 0);
    // A tag that cannot even be resolved is on no node: nothing else would tell that it was passed over.
    const unresolved = this.#foundTag ? [] : document.errors;
    for (const { pos } of unresolved)
      this.#issues.error({ path: [], place: this.#placeAt(pos[0]), message: tagMessage });
    return node.kind === 'map' ? node : undefined;
  }

  /** The document, or undefined if it cannot be read; errors that it still has are of tags. */
  #parse(): Document.Parsed | undefined {
    // What stands for bytes that are no text: left alone, a password would silently be another one.
    const foreign = this.#text.indexOf('\ufffd');
    if (foreign >= 0) {
      const message = 'a character here is not UTF-8; save the file as UTF-8';
      this.#issues.error({ path: [], place: this.#placeAt(foreign), message });
      return undefined;
    }
    const [document, second] = parseAllDocuments(this.#text, {
      version: '1.2',
      schema: 'core',
      merge: false,
      resolveKnownTags: false,
      uniqueKeys: false, // The parser's own check compares each key with each other; a Map below does not.
      prettyErrors: false,
      logLevel: 'silent',
    });
    if (document === undefined) {
      this.#empty();
      return undefined;
    }
    const errors = document.errors.filter(({ code }) => code !== 'TAG_RESOLVE_FAILED');
    // After the first one the parser stumbles over much that is right.
    for (const { code, pos } of errors.filter((error, index) => index === 0 || error.code !== 'UNEXPECTED_TOKEN')) {
      this.#issues.error({ path: [], place: this.#placeAt(pos[0]), message: syntaxMessage(code, this.#text, pos[0]) });
    }
    if (second !== undefined) {
      this.#report([], second, 'a second document begins here; a config is one: remove the "---"');
    }
    if (document.directives?.yaml.explicit) this.#report([], document, 'directives such as %YAML are not understood');
    return errors.length > 0 ? undefined : document;
  }

  #empty(): void {
    this.#issues.error({
      path: [],
      place: { line: 1, column: 1 },
      message: 'the config is empty; expected data_dir, sources and sinks',
    });
  }

  #convert(node: ParsedNode, path: ConfigPath, depth: number): Sized {
    if (isAlias(node)) return this.#follow(node, path);
    const { anchor } = node;
    if (anchor !== undefined) this.#anchors.set(anchor, undefined);
    const sized = this.#convertContent(node, path, depth);
    if (anchor !== undefined) this.#anchors.set(anchor, sized);
    return sized;
  }

  #convertContent(node: Exclude<ParsedNode, Alias.Parsed>, path: ConfigPath, depth: number): Sized {
    if (node.tag !== undefined) {
      this.#foundTag = true;
      return this.#broken(path, node, tagMessage);
    }
    if (depth > depthMax) return this.#broken(path, node, `nested deeper than ${depthMax} levels`);
    if (isScalar(node)) return { node: this.#scalar(node, path), size: 1 };
    if (isMap(node)) return this.#convertMap(node.items as PairOf[], path, this.#place(node), depth);
    const items = node.items.map((item, index) => this.#convert(item, [...path, index], depth + 1));
    return {
      node: { kind: 'list', place: this.#place(node), items: items.map((item) => item.node) },
      size: items.reduce((sum, { size }) => sum + size, 1),
    };
  }

  #convertMap(pairs: readonly PairOf[], path: ConfigPath, place: Place, depth: number): Sized {
    const entries = new Map<string, MapEntry>();
    let size = 1;
    for (const pair of pairs) {
      const key = this.#key(pair.key, path);
      if (key === undefined) continue;
      const keyPlace = this.#place(pair.key);
      const before = entries.get(key);
      if (before !== undefined) {
        const message = `the key stands twice; it is also on line ${before.keyPlace.line}`;
        this.#issues.error({ path: [...path, key], place: keyPlace, message });
        continue;
      }
      const value = pair.value === null ? undefined : this.#convert(pair.value, [...path, key], depth + 1);
      entries.set(key, { keyPlace, node: value?.node ?? emptyScalar(keyPlace) });
      size += value?.size ?? 1;
    }
    return { node: { kind: 'map', place, entries }, size };
  }

  #key(key: ParsedNode, path: ConfigPath): string | undefined {
    if (!isScalar(key) || key.tag !== undefined || key.value === null) {
      this.#report(path, key, 'a key is plain text');
      return undefined;
    }
    // As it is written: `404:` and `on:` are the keys "404" and "on".
    const name = typeof key.value === 'string' ? key.value : String(key.source);
    if (name === '<<') {
      this.#report([...path, name], key, 'merge keys are not understood; write the keys out');
      return undefined;
    }
    if (refusedKeys.has(name)) {
      this.#report([...path, name], key, 'no key may have this name; remove it');
      return undefined;
    }
    if (key.anchor !== undefined) this.#anchors.set(key.anchor, { node: this.#scalar(key, path), size: 1 });
    return name;
  }

  #follow(alias: { readonly source: string; readonly range?: Range }, path: ConfigPath): Sized {
    const target = this.#anchors.get(alias.source);
    if (target === undefined) {
      const reason = this.#anchors.has(alias.source) ? 'names what it stands in' : 'names no anchor above it';
      return this.#broken(path, alias, `the alias *${alias.source} ${reason}`);
    }
    this.#aliased += target.size;
    if (this.#aliased <= aliasedMax) return target;
    return this.#broken(path, alias, `aliases stand for more than ${aliasedMax} values up to here; write them out`);
  }

  #scalar(scalar: Scalar, path: ConfigPath): ScalarNode {
    const start = scalar.range?.[0] ?? 0;
    const source = this.#text.slice(start, scalar.range?.[1] ?? start);
    return this.#scalars.read({
      scalar,
      path,
      place: this.#placeAt(start),
      placeOf: (fragment) => this.#placeAt(start + Math.max(0, source.indexOf(fragment))),
    });
  }

  #broken(path: ConfigPath, at: { readonly range?: Range }, message: string): Sized {
    this.#report(path, at, message);
    return { node: { ...emptyScalar(this.#place(at)), isBroken: true }, size: 1 };
  }

  #report(path: ConfigPath, at: { readonly range?: Range }, message: string): void {
    this.#issues.error({ path, place: this.#place(at), message });
  }

  #place(at: { readonly range?: Range }): Place {
    return this.#placeAt(at.range?.[0] ?? 0);
  }

  #placeAt(offset: number): Place {
    let first = 0;
    let last = this.#lineStarts.length - 1;
    while (first < last) {
      const middle = Math.ceil((first + last) / 2);
      if ((this.#lineStarts[middle] ?? 0) <= offset) first = middle;
      else last = middle - 1;
    }
    return { line: first + 1, column: offset - (this.#lineStarts[first] ?? 0) + 1 };
  }
}

type Range = [number, number, number] | null | undefined;

interface PairOf {
  readonly key: ParsedNode;
  readonly value: ParsedNode | null;
}

function emptyScalar(place: Place): ScalarNode {
  return { kind: 'scalar', place, value: null, origin: { kind: 'written' }, untyped: undefined, isBroken: false };
}
