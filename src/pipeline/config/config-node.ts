// A config as a tree with places: what YAML said, after aliases and substitution, before any schema has seen it.
//
// Maps are Maps and the objects made of them have no prototype, so that a key is a key whatever it is called. A node
// that an alias names stands in the tree once for each alias; it keeps the place where it was written.

export interface Place {
  /** From 1. */
  readonly line: number;
  readonly column: number;
}

export type ScalarValue = string | number | boolean | null;

/** Where a scalar's value came from, if it was not written in the file: it is never printed then. */
export type Origin =
  | { readonly kind: 'written' }
  | { readonly kind: 'variable'; readonly names: readonly string[] }
  | { readonly kind: 'secret_file' };

export interface ScalarNode {
  readonly kind: 'scalar';
  readonly place: Place;
  readonly value: ScalarValue;
  readonly origin: Origin;
  /** What `value` was before YAML gave it a type, where a variable gave all of it: a password may be all digits. */
  readonly untyped: string | undefined;
  /** Something about it has been reported already: what a schema says about it is noise. */
  readonly isBroken: boolean;
}

export interface MapEntry {
  readonly keyPlace: Place;
  readonly node: ConfigNode;
}

export interface MapNode {
  readonly kind: 'map';
  readonly place: Place;
  readonly entries: ReadonlyMap<string, MapEntry>;
}

export interface ListNode {
  readonly kind: 'list';
  readonly place: Place;
  readonly items: readonly ConfigNode[];
}

export type ConfigNode = ScalarNode | MapNode | ListNode;

export type ConfigPath = readonly (string | number)[];

export interface ValueOptions {
  /** Scalars to give as they were before YAML gave them a type. */
  readonly untyped?: ReadonlySet<ConfigNode> | undefined;
}

/** The node as the plain value that a schema checks. */
export function plainValueOf(node: ConfigNode, options: ValueOptions = {}): unknown {
  switch (node.kind) {
    case 'scalar':
      return options.untyped?.has(node) ? (node.untyped ?? node.value) : node.value;
    case 'list':
      return node.items.map((item) => plainValueOf(item, options));
    case 'map': {
      const value: Record<string, unknown> = Object.create(null);
      for (const [key, entry] of node.entries) value[key] = plainValueOf(entry.node, options);
      return value;
    }
  }
}

/** What is found on the way along a path: the node at its end, or the last one that exists and its place. */
export interface Found {
  /** Undefined: the config says nothing there. */
  readonly node: ConfigNode | undefined;
  /** Of the value; where there is none, of the key that should have held it. */
  readonly place: Place;
  /** Of the key that names the value, if a key does. */
  readonly keyPlace: Place;
}

export function find(root: ConfigNode, rootPlace: Place, path: ConfigPath): Found {
  let node: ConfigNode = root;
  let keyPlace = rootPlace;
  for (const step of path) {
    const entry: MapEntry | undefined = node.kind === 'map' ? node.entries.get(String(step)) : undefined;
    const next: ConfigNode | undefined = node.kind === 'list' ? node.items[Number(step)] : entry?.node;
    if (next === undefined) return { node: undefined, place: keyPlace, keyPlace };
    keyPlace = entry?.keyPlace ?? next.place;
    node = next;
  }
  return { node, place: path.length === 0 ? rootPlace : node.place, keyPlace };
}

/** `sinks.archive.inputs[0]`. */
export function pathText(path: ConfigPath): string {
  let text = '';
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`;
    else text += text === '' ? step : `.${step}`;
  }
  return text;
}

/** The map without some of its keys. */
export function withoutKeys(node: MapNode, isLeftOut: (key: string) => boolean): MapNode {
  return { ...node, entries: new Map([...node.entries].filter(([key]) => !isLeftOut(key))) };
}

/** The map with one more key, or another value for one that it has. */
export function withEntry(node: MapNode, key: string, entry: MapEntry): MapNode {
  return { ...node, entries: new Map([...node.entries, [key, entry]]) };
}
