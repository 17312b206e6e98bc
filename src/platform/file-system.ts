// The file system as the engine sees it. Each method says what is durable after it; nothing else is.
//
// Two implementations obey one conformance suite: NodeFileSystem (the only user of node:fs) and SimFileSystem, which
// loses what was not synced. Assumptions A1..A5 about the disk stand in docs/guarantees.md.
//
// All methods reject with StorageError and nothing else. Paths are absolute and already resolved.

/** An open file. Explicit offsets only: there is no file position to share or lose. */
export interface FileHandle {
  readonly path: string;

  /**
   * Reads up to `target.length` bytes at byte `position` into `target` and resolves with how many were read: fewer than
   * asked is legal at any time, 0 means the end of the file.
   */
  read(target: Uint8Array, position: number): Promise<number>;

  /**
   * Writes up to `source.length` bytes at byte `position` and resolves with how many were written; fewer than asked is
   * legal (a disk about to be full does that), never 0 for a non-empty source. Nothing is durable: until the next
   * successful `syncData`, a power cut may keep, lose or tear what was written, per 512-byte sector, in any order (A2).
   * `source` must not change in the written range until the promise settles.
   */
  write(source: Uint8Array, position: number): Promise<number>;

  /**
   * fdatasync. When it resolves, every byte whose `write` had resolved before the call, and the file's length, are on
   * stable storage (A1). The file's name is not: see {@link FileSystem.syncDirectory}. When it rejects, the state of
   * all unsynced bytes is unknown for ever (A4): a later success says nothing about them.
   */
  syncData(): Promise<void>;

  /** Cuts or extends the file (with zeros) to `byteLength`. Durable only after the next successful `syncData`. */
  truncate(byteLength: number): Promise<void>;

  /** The length of the file in bytes as a live process sees it. */
  byteLength(): Promise<number>;

  /** Releases the descriptor. Makes nothing durable. A second call does nothing. */
  close(): Promise<void>;
}

export type FileKind = 'file' | 'directory' | 'link' | 'other';

/** What `lstat` tells about a path; a symbolic link is not followed. */
export interface PathFacts {
  readonly kind: FileKind;
  readonly byteLength: number;
  /** Whether users other than owner and group may write. */
  readonly worldWritable: boolean;
}

export interface DirectoryEntry extends PathFacts {
  /** The name inside the directory, without a path. */
  readonly name: string;
}

/** How `open` treats the file: `create` is exclusive, an existing name is an error of kind `exists`. */
export type OpenMode = 'read' | 'read_write' | 'create';

/** An exclusive lock that the operating system releases when the process dies. */
export interface FileLock {
  /** Gives the lock back. A second call does nothing. */
  release(): Promise<void>;
}

export interface FileSystem {
  /**
   * The directories that this process holds, by resolved path: one set for all instances that stand for one process.
   * Only directory-lock.ts changes it.
   */
  readonly heldDirectories: Set<string>;

  /**
   * Opens a file; `create` makes it with mode 0600. A created name is durable only after `syncDirectory` of its parent
   * (A5).
   */
  open(path: string, mode: OpenMode): Promise<FileHandle>;

  /** The entries of a directory with their sizes, in no order. A name that vanishes meanwhile is left out. */
  list(directory: string): Promise<DirectoryEntry[]>;

  /** Facts about a path itself, or undefined if nothing is there. */
  facts(path: string): Promise<PathFacts | undefined>;

  /** The path with links and `..` resolved. The path must exist. */
  resolve(path: string): Promise<string>;

  /**
   * Makes one directory with mode 0700; its parent must exist. An existing name is an error of kind `exists`. Durable
   * only after `syncDirectory` of the parent.
   */
  makeDirectory(path: string): Promise<void>;

  /** Renames within one file system, replacing `to`. Durable only after `syncDirectory` of the parent(s). */
  rename(from: string, to: string): Promise<void>;

  /** Removes a file's name; a missing name is an error of kind `missing`. Durable only after `syncDirectory`. */
  remove(path: string): Promise<void>;

  /**
   * Removes a directory without entries; one that has some is an error, and stays. Durable only after `syncDirectory`
   * of the parent.
   */
  removeDirectory(path: string): Promise<void>;

  /**
   * Makes every name created, renamed or removed in this directory before the call durable. Rejecting, it leaves open
   * which of them are.
   */
  syncDirectory(path: string): Promise<void>;

  /**
   * Takes the exclusive lock that lives in the file `path`, which is created (0600, empty) if missing. Resolves with
   * undefined while another process holds it; rejects with kind `lock_foreign` when the file holds foreign bytes. The
   * lock excludes other processes; a second `tryLock` of the same process must be refused by the caller (see
   * directory-lock.ts).
   */
  tryLock(path: string): Promise<FileLock | undefined>;
}
