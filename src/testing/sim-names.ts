// The names of the simulated disk: directories, what live processes see in them, and what is certain after a power cut.
//
// A name that was created, renamed or removed is undecided until its directory has been synced after the call (A5). A
// rename is one change: it is kept or lost as a whole, and one between two directories needs both synced. A power cut
// keeps any subset of the undecided changes, in any combination: journals keep an order, but nobody promised one.
import { type StorageOperation, toStorageError } from '../platform/storage-errors.ts';
import type { SimFile } from './sim-file.ts';

export type SimNode = SimFile | SimDirectory | SimLink;

export type SimLink = { readonly kind: 'link'; readonly target: string; worldWritable: boolean };

export class SimDirectory {
  readonly kind = 'directory';
  worldWritable = false;
  live: Map<string, SimNode> = new Map();
  durable: Map<string, SimNode> = new Map();
}

/** One change of names that is not durable. */
export type NameChange = {
  readonly id: number;
  readonly what: 'create' | 'make directory' | 'rename' | 'remove';
  /** The path that appears or, for a removal, disappears. */
  readonly path: string;
  readonly node: SimNode;
  readonly gone: Place | undefined;
  readonly comes: Place | undefined;
  /** Whether the call has returned: only such changes does a sync take along. */
  returned: boolean;
  readonly unsynced: Set<SimDirectory>;
};

type Place = { readonly directory: SimDirectory; readonly name: string };

export class SimNames {
  #root = new SimDirectory();
  #changes: NameChange[] = [];

  /** What a live process finds under this path; undefined if nothing is there. Links are not followed. */
  find(path: string): SimNode | undefined {
    let node: SimNode = this.#root;
    for (const name of namesOf(path)) {
      if (node.kind !== 'directory') return undefined;
      const next: SimNode | undefined = node.live.get(name);
      if (next === undefined) return undefined;
      node = next;
    }
    return node;
  }

  /** The directory that holds this path, or the error a real file system would give. */
  placeOf(path: string, operation: StorageOperation): Place {
    const names = namesOf(path);
    const name = names.pop();
    if (name === undefined) throw failure('EEXIST', operation, path);
    const directory = this.find(names.join('/'));
    if (directory === undefined) throw failure('ENOENT', operation, path);
    if (directory.kind !== 'directory') throw failure('ENOTDIR', operation, path);
    return { directory, name };
  }

  /** Links followed, as far as they lead. */
  resolve(path: string, hopsLeft = 40): string {
    let found = '';
    const names = namesOf(path);
    for (let at = 0; at < names.length; at++) {
      found = `${found}/${names[at]}`;
      const node = this.find(found);
      if (node === undefined) throw failure('ENOENT', 'resolve', path);
      if (node.kind !== 'link') continue;
      if (hopsLeft === 0) throw failure('ELOOP', 'resolve', path);
      const base = node.target.startsWith('/') ? '' : found.slice(0, found.lastIndexOf('/'));
      return this.resolve([base, node.target, ...names.slice(at + 1)].join('/'), hopsLeft - 1);
    }
    return found === '' ? '/' : found;
  }

  add(id: number, what: 'create' | 'make directory', path: string, node: SimNode): NameChange {
    const comes = this.placeOf(path, what);
    if (comes.directory.live.has(comes.name)) throw failure('EEXIST', what, path);
    return this.#change({ id, what, path, node, gone: undefined, comes });
  }

  rename(id: number, from: string, to: string): NameChange {
    const gone = this.placeOf(from, 'rename');
    const comes = this.placeOf(to, 'rename');
    const node = gone.directory.live.get(gone.name);
    if (node === undefined) throw failure('ENOENT', 'rename', from);
    const replaced = comes.directory.live.get(comes.name);
    if (replaced?.kind === 'directory' && node.kind !== 'directory') throw failure('EISDIR', 'rename', to);
    if (replaced?.kind === 'directory' && replaced.live.size > 0) throw failure('ENOTEMPTY', 'rename', to);
    if (replaced !== undefined && replaced.kind !== 'directory' && node.kind === 'directory') {
      throw failure('ENOTDIR', 'rename', to);
    }
    return this.#change({ id, what: 'rename', path: to, node, gone, comes });
  }

  remove(id: number, path: string): NameChange {
    const gone = this.placeOf(path, 'remove');
    const node = gone.directory.live.get(gone.name);
    if (node === undefined) throw failure('ENOENT', 'remove', path);
    if (node.kind === 'directory') throw failure('EISDIR', 'remove', path);
    return this.#change({ id, what: 'remove', path, node, gone, comes: undefined });
  }

  removeDirectory(id: number, path: string): NameChange {
    const gone = this.placeOf(path, 'remove directory');
    const node = gone.directory.live.get(gone.name);
    if (node === undefined) throw failure('ENOENT', 'remove directory', path);
    if (node.kind !== 'directory') throw failure('ENOTDIR', 'remove directory', path);
    if (node.live.size > 0) throw failure('ENOTEMPTY', 'remove directory', path);
    return this.#change({ id, what: 'remove', path, node, gone, comes: undefined });
  }

  /** A name that has always been there. */
  plant(path: string, node: SimNode): void {
    const { directory, name } = this.placeOf(path, 'create');
    directory.live.set(name, node);
    directory.durable.set(name, node);
  }

  /** The changes that a sync of this directory, called now, would make durable. */
  changesForSync(directory: SimDirectory): ReadonlySet<NameChange> {
    return new Set(this.#changes.filter((change) => change.returned && change.unsynced.has(directory)));
  }

  syncSucceeded(directory: SimDirectory, taken: ReadonlySet<NameChange>): void {
    const settled = new Set<NameChange>();
    for (const change of this.#changes.toReversed()) {
      if (taken.has(change)) change.unsynced.delete(directory);
      // What a settled change has overwritten cannot come back later: it goes with it.
      const isOverwritten = [...settled].some((later) => touchSameName(change, later));
      if (change.unsynced.size === 0 || isOverwritten) settled.add(change);
    }
    for (const change of this.#changes) if (settled.has(change)) apply(change, 'durable');
    this.#changes = this.#changes.filter((change) => !settled.has(change));
  }

  /** Whether every power cut at this moment would leave this name with what it names now. */
  wouldSurvive(path: string): boolean {
    let directory = this.#root;
    for (const name of namesOf(path)) {
      const node = directory.live.get(name);
      if (node === undefined || directory.durable.get(name) !== node) return false;
      for (const { gone, comes, node: changed } of this.#changes) {
        if (isAt(gone, directory, name)) return false;
        if (isAt(comes, directory, name) && changed !== node) return false;
      }
      if (node.kind !== 'directory') return true; // Nothing lies below it: the path ends here or leads nowhere.
      directory = node;
    }
    return true;
  }

  undecided(): readonly NameChange[] {
    return this.#changes;
  }

  /** The power is cut: `isKept` is asked once for each undecided change, in order. */
  powerCut(isKept: (change: NameChange) => boolean): void {
    for (const change of this.#changes) if (isKept(change)) apply(change, 'durable');
    this.#changes = [];
    for (const { node } of this.#walk('durable')) if (node.kind === 'directory') node.live = new Map(node.durable);
  }

  /** Every path that a live process can reach, parents first. */
  paths(): { readonly path: string; readonly node: SimNode }[] {
    return [...this.#walk('live')].slice(1);
  }

  /** Every node that a process can reach now or could after a power cut. */
  nodes(): ReadonlySet<SimNode> {
    const found = new Set<SimNode>();
    for (const { node } of this.#walk('live')) found.add(node);
    for (const { node } of this.#walk('durable')) found.add(node);
    for (const { node } of this.#changes) found.add(node);
    return found;
  }

  clone(): SimNames {
    const copies = new Map<SimNode, SimNode>();
    const copyOf = (node: SimNode): SimNode => {
      const known = copies.get(node);
      if (known !== undefined) return known;
      const copy = node.kind === 'file' ? node.clone() : node.kind === 'link' ? { ...node } : new SimDirectory();
      copies.set(node, copy);
      if (node.kind === 'directory' && copy.kind === 'directory') {
        copy.worldWritable = node.worldWritable;
        for (const [name, child] of node.live) copy.live.set(name, copyOf(child));
        for (const [name, child] of node.durable) copy.durable.set(name, copyOf(child));
      }
      return copy;
    };
    const placeCopy = (place: Place | undefined): Place | undefined =>
      place === undefined ? undefined : { directory: copyOf(place.directory) as SimDirectory, name: place.name };
    const result = new SimNames();
    result.#root = copyOf(this.#root) as SimDirectory;
    result.#changes = this.#changes.map((change) => ({
      ...change,
      node: copyOf(change.node),
      gone: placeCopy(change.gone),
      comes: placeCopy(change.comes),
      unsynced: new Set([...change.unsynced].map((directory) => copyOf(directory) as SimDirectory)),
    }));
    return result;
  }

  #change(fields: Omit<NameChange, 'returned' | 'unsynced'>): NameChange {
    const unsynced = new Set<SimDirectory>();
    if (fields.gone !== undefined) unsynced.add(fields.gone.directory);
    if (fields.comes !== undefined) unsynced.add(fields.comes.directory);
    const change: NameChange = { ...fields, returned: false, unsynced };
    apply(change, 'live');
    this.#changes.push(change);
    return change;
  }

  *#walk(view: 'live' | 'durable'): Generator<{ readonly path: string; readonly node: SimNode }> {
    const rest: { readonly path: string; readonly node: SimNode }[] = [{ path: '', node: this.#root }];
    for (let next = rest.pop(); next !== undefined; next = rest.pop()) {
      yield next;
      if (next.node.kind !== 'directory') continue;
      for (const [name, node] of next.node[view]) rest.push({ path: `${next.path}/${name}`, node });
    }
  }
}

/** Takes effect in one of the views. What another change has put in the place meanwhile stays. */
function apply(change: NameChange, view: 'live' | 'durable'): void {
  const { gone, comes, node } = change;
  if (gone !== undefined && gone.directory[view].get(gone.name) === node) gone.directory[view].delete(gone.name);
  if (comes !== undefined) comes.directory[view].set(comes.name, node);
}

function touchSameName(a: NameChange, b: NameChange): boolean {
  return [a.gone, a.comes].some(
    (place) =>
      place !== undefined && (isAt(b.gone, place.directory, place.name) || isAt(b.comes, place.directory, place.name)),
  );
}

function isAt(place: Place | undefined, directory: SimDirectory, name: string): boolean {
  return place !== undefined && place.directory === directory && place.name === name;
}

function namesOf(path: string): string[] {
  const names: string[] = [];
  for (const name of path.split('/')) {
    if (name === '..') names.pop();
    else if (name !== '' && name !== '.') names.push(name);
  }
  return names;
}

function failure(errno: string, operation: StorageOperation, path: string): Error {
  return toStorageError(errnoError(errno), operation, path);
}

/** An error as the operating system gives it. */
export function errnoError(errno: string): Error {
  return Object.assign(new Error(`${errno} (simulated)`), { code: errno });
}
