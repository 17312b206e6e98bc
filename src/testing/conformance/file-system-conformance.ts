// What every file system behind the interface does, as cases that any test runner can run:
//
//   for (const { name, run } of fileSystemCases) test(name, () => run(await makeWorld()))
//
// The cases say what a live process sees; what survives a crash cannot be asked of a real disk and is tested elsewhere.
import { StorageError } from '../../base/errors.ts';
import type { FileSystem } from '../../platform/file-system.ts';
import {
  bytesOf,
  contentOf,
  expectEqual,
  expectKind,
  makeFile,
  readAll,
  textAt,
  textOf,
  writeAll,
} from './file-checks.ts';

/** What a case is given: a file system and an empty directory of its own in it. */
export type FileSystemWorld = {
  readonly fileSystem: FileSystem;
  readonly directory: string;
  /** A second process on the same disk, for the lock. Without it those cases pass without a look. */
  readonly otherProcess?: FileSystem;
  /** A file whose data lies beyond 4 GiB costs nothing here. */
  readonly isSparse: boolean;
  /** Makes a symbolic link. */
  makeLink(path: string, target: string): void;
};

export type FileSystemCase = {
  readonly name: string;
  run(world: FileSystemWorld): Promise<void>;
};

const GiB = 1024 ** 3;

export const fileSystemCases: readonly FileSystemCase[] = [
  {
    name: 'a new file is empty, and what is written to it is read from it',
    async run({ fileSystem, directory }) {
      const file = await fileSystem.open(`${directory}/a`, 'create');
      expectEqual(file.path, `${directory}/a`, 'path of the handle');
      expectEqual(await file.byteLength(), 0, 'length of a new file');
      await writeAll(file, bytesOf('one two three'), 0);
      expectEqual(await file.byteLength(), 13, 'length');
      expectEqual(await textAt(file, 4, 3), 'two', 'bytes in the middle');
      await file.close();
    },
  },
  {
    name: 'create is exclusive',
    async run({ fileSystem, directory }) {
      await makeFile(fileSystem, `${directory}/a`, 'kept');
      await expectKind('exists', fileSystem.open(`${directory}/a`, 'create'));
      expectEqual(await contentOf(fileSystem, `${directory}/a`), 'kept', 'the file that was there');
    },
  },
  {
    name: 'opening what is not there is an error of kind missing',
    async run({ fileSystem, directory }) {
      await expectKind('missing', fileSystem.open(`${directory}/a`, 'read'));
      await expectKind('missing', fileSystem.open(`${directory}/a`, 'read_write'));
      await expectKind('missing', fileSystem.open(`${directory}/no/a`, 'create'));
    },
  },
  {
    name: 'a directory cannot be opened as a file',
    async run({ fileSystem, directory }) {
      await fileSystem.makeDirectory(`${directory}/d`);
      await expectKind('io', fileSystem.open(`${directory}/d`, 'read'));
      await expectKind('io', fileSystem.open(`${directory}/d`, 'read_write'));
      await expectKind('exists', fileSystem.open(`${directory}/d`, 'create'));
    },
  },
  {
    name: 'a symbolic link is never opened',
    async run({ fileSystem, directory, makeLink }) {
      await makeFile(fileSystem, `${directory}/a`, 'target');
      makeLink(`${directory}/link`, `${directory}/a`);
      await expectKind('unsafe', fileSystem.open(`${directory}/link`, 'read'));
      await expectKind('unsafe', fileSystem.open(`${directory}/link`, 'read_write'));
      await expectKind('exists', fileSystem.open(`${directory}/link`, 'create'));
      expectEqual((await fileSystem.facts(`${directory}/link`))?.kind, 'link', 'kind of the link');
    },
  },
  {
    name: 'a file opened for reading cannot be written',
    async run({ fileSystem, directory }) {
      await makeFile(fileSystem, `${directory}/a`, 'as it was');
      const file = await fileSystem.open(`${directory}/a`, 'read');
      await expectKind('io', file.write(bytesOf('other'), 0));
      await expectKind('io', file.truncate(0));
      expectEqual(await textAt(file, 0, 9), 'as it was', 'bytes');
      await file.close();
    },
  },
  {
    name: 'a file opened again can be written in the middle',
    async run({ fileSystem, directory }) {
      await makeFile(fileSystem, `${directory}/a`, 'one two three');
      const file = await fileSystem.open(`${directory}/a`, 'read_write');
      await writeAll(file, bytesOf('TWO'), 4);
      await file.close();
      expectEqual(await contentOf(fileSystem, `${directory}/a`), 'one TWO three', 'bytes');
    },
  },
  {
    name: 'reading at and beyond the end gives 0 bytes and leaves the target alone',
    async run({ fileSystem, directory }) {
      const file = await fileSystem.open(`${directory}/a`, 'create');
      await writeAll(file, bytesOf('1234'), 0);
      const target = bytesOf('....');
      expectEqual(await file.read(target, 4), 0, 'bytes at the end');
      expectEqual(await file.read(target, 4000), 0, 'bytes beyond the end');
      expectEqual(await file.read(target.subarray(0, 0), 0), 0, 'bytes when none are asked for');
      expectEqual(textOf(target), '....', 'the target');
      expectEqual(await textAt(file, 2, 50), '34', 'the bytes before the end');
      await file.close();
    },
  },
  {
    name: 'writing nothing writes nothing',
    async run({ fileSystem, directory }) {
      const file = await fileSystem.open(`${directory}/a`, 'create');
      expectEqual(await file.write(new Uint8Array(0), 100), 0, 'bytes written');
      expectEqual(await file.byteLength(), 0, 'length');
      await file.close();
    },
  },
  {
    name: 'a write beyond the end leaves zeros before it',
    async run({ fileSystem, directory }) {
      const file = await fileSystem.open(`${directory}/a`, 'create');
      await writeAll(file, bytesOf('end'), 5);
      expectEqual(await textAt(file, 0, 8), '\0\0\0\0\0end', 'bytes');
      await file.close();
    },
  },
  {
    name: 'truncate cuts, and extends with zeros, never with what was there before',
    async run({ fileSystem, directory }) {
      const file = await fileSystem.open(`${directory}/a`, 'create');
      await writeAll(file, bytesOf('one two three'), 0);
      await file.truncate(4);
      expectEqual(await file.byteLength(), 4, 'length after the cut');
      await file.truncate(8);
      expectEqual(await file.byteLength(), 8, 'length after the extension');
      expectEqual(await textAt(file, 0, 8), 'one \0\0\0\0', 'bytes');
      await file.close();
    },
  },
  {
    name: 'large transfers arrive whole when short reads and writes are continued',
    async run({ fileSystem, directory }) {
      const file = await fileSystem.open(`${directory}/a`, 'create');
      const bytes = Uint8Array.from({ length: 300_000 }, (_, index) => (index * 31 + (index >> 8)) & 0xff);
      await writeAll(file, bytes, 777);
      const found = await readAll(file, 777, bytes.length);
      expectEqual(Buffer.compare(found, bytes), 0, 'comparison of the bytes');
      await file.close();
    },
  },
  {
    name: 'offsets beyond 4 GiB work',
    async run({ fileSystem, directory, isSparse }) {
      if (!isSparse) return;
      const file = await fileSystem.open(`${directory}/a`, 'create');
      await writeAll(file, bytesOf('far'), 5 * GiB + 1);
      await writeAll(file, bytesOf('near'), GiB + 1);
      expectEqual(await file.byteLength(), 5 * GiB + 4, 'length');
      expectEqual(await textAt(file, 5 * GiB, 4), '\0far', 'bytes');
      expectEqual((await fileSystem.facts(`${directory}/a`))?.byteLength, 5 * GiB + 4, 'length by name');
      await file.close();
      await fileSystem.remove(`${directory}/a`);
    },
  },
  {
    name: 'two handles see the same bytes at once',
    async run({ fileSystem, directory }) {
      const one = await fileSystem.open(`${directory}/a`, 'create');
      const two = await fileSystem.open(`${directory}/a`, 'read');
      await writeAll(one, bytesOf('seen'), 0);
      expectEqual(await textAt(two, 0, 4), 'seen', 'bytes');
      await one.close();
      await two.close();
    },
  },
  {
    name: 'a closed handle can be closed again and used for nothing',
    async run({ fileSystem, directory }) {
      const file = await fileSystem.open(`${directory}/a`, 'create');
      await file.close();
      await file.close();
      await expectKind('io', file.read(new Uint8Array(4), 0));
      await expectKind('io', file.write(bytesOf('late'), 0));
      await expectKind('io', file.syncData());
      await expectKind('io', file.byteLength());
      await expectKind('io', file.truncate(0));
    },
  },
  {
    name: 'closing waits for what is under way',
    async run({ fileSystem, directory }) {
      const file = await fileSystem.open(`${directory}/a`, 'create');
      const writing = file.write(bytesOf('a'), 0);
      const closing = file.close();
      await writing;
      await closing;
      expectEqual(await contentOf(fileSystem, `${directory}/a`), 'a', 'bytes');
    },
  },
  {
    name: 'syncs of files and directories succeed',
    async run({ fileSystem, directory }) {
      const file = await fileSystem.open(`${directory}/a`, 'create');
      await writeAll(file, bytesOf('durable'), 0);
      await file.syncData();
      await fileSystem.syncDirectory(directory);
      await file.close();
      await expectKind('missing', fileSystem.syncDirectory(`${directory}/no`));
      await expectKind('io', fileSystem.syncDirectory(`${directory}/a`));
    },
  },
  {
    name: 'list gives every name with kind and length',
    async run({ fileSystem, directory, makeLink }) {
      await makeFile(fileSystem, `${directory}/three`, '123');
      await makeFile(fileSystem, `${directory}/empty`, '');
      await fileSystem.makeDirectory(`${directory}/below`);
      await makeFile(fileSystem, `${directory}/below/hidden`, 'x');
      makeLink(`${directory}/link`, 'nowhere');
      const entries = await fileSystem.list(directory);
      const found = entries.map(({ name, kind, byteLength }) => `${name} ${kind} ${kind === 'file' ? byteLength : ''}`);
      expectEqual(found.sort().join(', '), 'below directory , empty file 0, link link , three file 3', 'entries');
    },
  },
  {
    name: 'list of what is no directory is an error',
    async run({ fileSystem, directory }) {
      await makeFile(fileSystem, `${directory}/a`, '');
      await expectKind('missing', fileSystem.list(`${directory}/no`));
      await expectKind('io', fileSystem.list(`${directory}/a`));
    },
  },
  {
    name: 'list finds hundreds of names',
    async run({ fileSystem, directory }) {
      for (let index = 0; index < 300; index++) await makeFile(fileSystem, `${directory}/${index}`, '');
      const names = (await fileSystem.list(directory)).map(({ name }) => Number(name));
      expectEqual(
        names.sort((a, b) => a - b).every((name, index) => name === index),
        true,
        'all are there, each once',
      );
      expectEqual(names.length, 300, 'count');
    },
  },
  {
    name: 'facts of what is not there are undefined',
    async run({ fileSystem, directory }) {
      await makeFile(fileSystem, `${directory}/a`, '');
      expectEqual(await fileSystem.facts(`${directory}/no`), undefined, 'facts of a missing name');
      expectEqual(await fileSystem.facts(`${directory}/a/no`), undefined, 'facts of a name below a file');
    },
  },
  {
    name: 'what is created is not writable by the world',
    async run({ fileSystem, directory }) {
      await makeFile(fileSystem, `${directory}/a`, '');
      await fileSystem.makeDirectory(`${directory}/d`);
      expectEqual((await fileSystem.facts(`${directory}/a`))?.worldWritable, false, 'a file');
      expectEqual((await fileSystem.facts(`${directory}/d`))?.worldWritable, false, 'a directory');
    },
  },
  {
    name: 'resolve follows links and parents',
    async run({ fileSystem, directory, makeLink }) {
      await fileSystem.makeDirectory(`${directory}/real`);
      await fileSystem.makeDirectory(`${directory}/real/below`);
      makeLink(`${directory}/link`, 'real');
      const real = await fileSystem.resolve(`${directory}/real`);
      expectEqual(await fileSystem.resolve(`${directory}/link/below`), `${real}/below`, 'through a link');
      expectEqual(await fileSystem.resolve(`${directory}/real/below/..`), real, 'through a parent');
      await expectKind('missing', fileSystem.resolve(`${directory}/no`));
    },
  },
  {
    name: 'makeDirectory makes one directory, and only where there is none',
    async run({ fileSystem, directory }) {
      await fileSystem.makeDirectory(`${directory}/d`);
      await expectKind('exists', fileSystem.makeDirectory(`${directory}/d`));
      await expectKind('missing', fileSystem.makeDirectory(`${directory}/no/d`));
      expectEqual((await fileSystem.facts(`${directory}/d`))?.kind, 'directory', 'kind');
    },
  },
  {
    name: 'rename replaces its target, and an open handle goes with the file',
    async run({ fileSystem, directory }) {
      await makeFile(fileSystem, `${directory}/old`, 'old');
      const file = await fileSystem.open(`${directory}/new`, 'create');
      await fileSystem.rename(`${directory}/new`, `${directory}/old`);
      await writeAll(file, bytesOf('renamed'), 0);
      await file.close();
      expectEqual(await contentOf(fileSystem, `${directory}/old`), 'renamed', 'bytes');
      expectEqual(await fileSystem.facts(`${directory}/new`), undefined, 'the old name');
      await expectKind('missing', fileSystem.rename(`${directory}/no`, `${directory}/x`));
    },
  },
  {
    name: 'rename moves a file between directories',
    async run({ fileSystem, directory }) {
      await fileSystem.makeDirectory(`${directory}/d`);
      await makeFile(fileSystem, `${directory}/a`, 'moved');
      await fileSystem.rename(`${directory}/a`, `${directory}/d/b`);
      expectEqual(await contentOf(fileSystem, `${directory}/d/b`), 'moved', 'bytes');
      expectEqual(await fileSystem.facts(`${directory}/a`), undefined, 'the old name');
    },
  },
  {
    name: 'remove takes the name; an open handle keeps the bytes',
    async run({ fileSystem, directory }) {
      const file = await fileSystem.open(`${directory}/a`, 'create');
      await writeAll(file, bytesOf('still there'), 0);
      await fileSystem.remove(`${directory}/a`);
      expectEqual(await fileSystem.facts(`${directory}/a`), undefined, 'facts');
      expectEqual(await textAt(file, 0, 11), 'still there', 'bytes');
      await file.close();
      await expectKind('missing', fileSystem.remove(`${directory}/a`));
    },
  },
  {
    name: 'a name can be used again after its removal',
    async run({ fileSystem, directory }) {
      await makeFile(fileSystem, `${directory}/a`, 'first');
      await fileSystem.remove(`${directory}/a`);
      await makeFile(fileSystem, `${directory}/a`, '2');
      expectEqual(await contentOf(fileSystem, `${directory}/a`), '2', 'bytes');
    },
  },
  {
    name: 'a directory is removed when nothing is in it',
    async run({ fileSystem, directory }) {
      await fileSystem.makeDirectory(`${directory}/a`);
      await makeFile(fileSystem, `${directory}/a/b`, 'first');
      await expectKind('io', fileSystem.removeDirectory(`${directory}/a`));
      await expectKind('io', fileSystem.removeDirectory(`${directory}/a/b`));
      await fileSystem.remove(`${directory}/a/b`);
      await fileSystem.removeDirectory(`${directory}/a`);
      expectEqual(await fileSystem.facts(`${directory}/a`), undefined, 'facts');
      await expectKind('missing', fileSystem.removeDirectory(`${directory}/a`));
    },
  },
  {
    name: 'a lock excludes another process until it is released',
    async run({ fileSystem, directory, otherProcess }) {
      const lock = await fileSystem.tryLock(`${directory}/lock`);
      expectEqual(lock !== undefined, true, 'the first one gets it');
      expectEqual((await fileSystem.facts(`${directory}/lock`))?.byteLength, 0, 'length of the lock file');
      if (otherProcess !== undefined)
        expectEqual(await otherProcess.tryLock(`${directory}/lock`), undefined, 'the second');
      await lock?.release();
      await lock?.release();
      const next = await (otherProcess ?? fileSystem).tryLock(`${directory}/lock`);
      expectEqual(next !== undefined, true, 'it is free after the release');
      await next?.release();
    },
  },
  {
    name: 'a lock file with foreign bytes is refused and left alone',
    async run({ fileSystem, directory }) {
      await makeFile(fileSystem, `${directory}/lock`, 'do not touch');
      await expectKind('lock_foreign', fileSystem.tryLock(`${directory}/lock`));
      expectEqual(await contentOf(fileSystem, `${directory}/lock`), 'do not touch', 'bytes');
    },
  },
  {
    name: 'errors carry operation, path and a sentence',
    async run({ fileSystem, directory }) {
      const error = await fileSystem.remove(`${directory}/no`).catch((cause: unknown) => cause);
      if (!(error instanceof StorageError)) throw new Error(`expected a StorageError, found ${String(error)}`);
      expectEqual(error.operation, 'remove', 'operation');
      expectEqual(error.path, `${directory}/no`, 'path');
      expectEqual(error.message.startsWith(`Could not remove ${directory}/no: `), true, error.message);
      expectEqual(error.cause instanceof Error, true, 'there is a cause');
    },
  },
];
