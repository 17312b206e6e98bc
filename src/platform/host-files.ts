// Files of the host as a pipeline sees them: logs that others write and rotate, output that others read, small files
// that a component remembers things in. Beside FileSystem, whose files belong to a buffer alone and are never links.
//
// All methods reject with StorageError and nothing else. Paths are absolute.

import type { FileHandle, FileKind } from './file-system.ts';

/** What `stat` tells about a file, links followed. */
export interface HostFileFacts {
  readonly kind: FileKind;
  readonly byteLength: number;
  /** Names the file on this machine whatever its path: device and inode. Reused after a file is removed. */
  readonly identity: string;
  /** Milliseconds since 1970-01-01 UTC. */
  readonly modifiedMs: number;
}

/** A file that a pattern has found. */
export interface FoundFile {
  readonly path: string;
  readonly facts: HostFileFacts;
}

/** A file opened for reading; it stays the same file when its name moves on. */
export interface HostFile {
  readonly path: string;
  /** As {@link FileHandle.read}: fewer than asked is legal, 0 means the end for now. */
  read(target: Uint8Array, position: number): Promise<number>;
  facts(): Promise<HostFileFacts>;
  close(): Promise<void>;
}

export interface HostFiles {
  /** Opens a regular file for reading, following links; never waits for a FIFO, refuses what is no regular file. */
  openToRead(path: string): Promise<HostFile>;
  /**
   * Opens a file for reading and writing, following links, and makes it if it is missing (mode 0644 less the umask).
   * A created name is durable only after `syncDirectory`.
   */
  openToWrite(path: string): Promise<FileHandle>;
  /** Facts about a path, links followed, or undefined if nothing is there. */
  facts(path: string): Promise<HostFileFacts | undefined>;
  /** The paths of files that match any of the patterns and none of `exclude`, sorted. `**` is understood. */
  glob(patterns: readonly string[], exclude?: readonly string[]): Promise<string[]>;
  /** As `glob`, with the facts that tell files from folders. What cannot be looked at is left out. */
  find(patterns: readonly string[], exclude?: readonly string[]): Promise<FoundFile[]>;
  /** The names in a directory, sorted; none if nothing is there. */
  list(directory: string): Promise<string[]>;
  /** The whole file as text, or undefined if nothing is there. For small files. */
  readText(path: string): Promise<string | undefined>;
  /** Replaces a file as a whole, durably: after a crash it has the old text or the new one. Mode 0600. */
  replaceText(path: string, text: string): Promise<void>;
  /** Makes a directory and its missing parents, durably. */
  makeDirectories(path: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  /** A missing name is no error. */
  remove(path: string): Promise<void>;
  syncDirectory(path: string): Promise<void>;
}
