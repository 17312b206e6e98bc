import { chmodSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { fileSystemCases } from '../testing/conformance/file-system-conformance.ts';
import { NodeFileSystem } from './node-file-system.ts';

const fileSystem = new NodeFileSystem();
let directory = '';

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'spillway-files-'));
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

describe('the file system of the operating system', () => {
  for (const { name, run } of fileSystemCases) {
    test(name, () =>
      run({ fileSystem, directory, isSparse: true, makeLink: (path, target) => symlinkSync(target, path) }),
    );
  }
});

describe('rights', () => {
  let umaskBefore = 0;

  beforeEach(() => {
    umaskBefore = process.umask(0o777);
  });

  afterEach(() => {
    process.umask(umaskBefore);
  });

  test('files are 0600 and directories 0700 whatever the umask says', async () => {
    await (await fileSystem.open(join(directory, 'file'), 'create')).close();
    await fileSystem.makeDirectory(join(directory, 'below'));
    const lock = await fileSystem.tryLock(join(directory, 'lock'));
    expect(statSync(join(directory, 'file')).mode & 0o777).toBe(0o600);
    expect(statSync(join(directory, 'below')).mode & 0o777).toBe(0o700);
    expect(statSync(join(directory, 'lock')).mode & 0o777).toBe(0o600);
    await lock?.release();
  });
});

test('what others may write to is told', async () => {
  writeFileSync(join(directory, 'open'), '');
  chmodSync(join(directory, 'open'), 0o666);
  writeFileSync(join(directory, 'group'), '');
  chmodSync(join(directory, 'group'), 0o660);
  const entries = await fileSystem.list(directory);
  expect(entries.map(({ name, worldWritable }) => ({ name, worldWritable })).sort(byName)).toEqual([
    { name: 'group', worldWritable: false },
    { name: 'open', worldWritable: true },
  ]);
});

test('thousands of names are listed', async () => {
  for (let index = 0; index < 5000; index++) writeFileSync(join(directory, `${index}.seg`), '');
  expect(await fileSystem.list(directory)).toHaveLength(5000);
});

test('a name that vanishes while the directory is listed is left out', async () => {
  for (let index = 0; index < 200; index++) writeFileSync(join(directory, `${index}`), '');
  const listing = fileSystem.list(directory);
  await Promise.all(Array.from({ length: 100 }, (_, index) => fileSystem.remove(join(directory, `${index}`))));
  const names = (await listing).map(({ name }) => Number(name));
  expect(names.filter((name) => name >= 100)).toHaveLength(100);
});

function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : 1;
}
