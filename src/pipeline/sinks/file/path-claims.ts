// Which files are being written to in this process: two writers of one file would cut each other's lines.
//
// A file is claimed by its path and, since links give it other paths, by device and inode. Another process is not
// noticed: give each its own path.

export class PathClaims {
  readonly #owners = new Map<string, object>();

  /** Whether `key` is the owner's now. */
  claim(key: string, owner: object): boolean {
    const current = this.#owners.get(key);
    if (current !== undefined && current !== owner) return false;
    this.#owners.set(key, owner);
    return true;
  }

  release(key: string, owner: object): void {
    if (this.#owners.get(key) === owner) this.#owners.delete(key);
  }
}
