import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { NodeHostFiles } from './node-host-files.ts';

const files = new NodeHostFiles();
let folder = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'spillway-host-files-'));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function textOf(path: string): Promise<string> {
  const file = await files.openToRead(path);
  const target = new Uint8Array(100);
  const count = await file.read(target, 0);
  await file.close();
  return new TextDecoder().decode(target.subarray(0, count));
}

describe('host files', () => {
  it('stay the same file when the name moves on', async () => {
    const path = join(folder, 'app.log');
    writeFileSync(path, 'one');
    const file = await files.openToRead(path);
    const before = await file.facts();
    renameSync(path, `${path}.1`);
    writeFileSync(path, 'another');
    appendFileSync(`${path}.1`, ' two');
    expect((await file.facts()).identity).toBe(before.identity);
    expect((await files.facts(path))?.identity).not.toBe(before.identity);
    const target = new Uint8Array(20);
    expect(new TextDecoder().decode(target.subarray(0, await file.read(target, 0)))).toBe('one two');
    await file.close();
    await file.close();
    await expect(file.read(target, 0)).rejects.toMatchObject({ code: 'SPILLWAY_STORAGE_IO' });
  });

  it('are found by patterns, sorted, folders and excluded ones left out', async () => {
    mkdirSync(join(folder, 'b/c.log'), { recursive: true });
    for (const name of ['z.log', 'a.log', 'a.gz', 'b/deep.log']) writeFileSync(join(folder, name), '');
    expect(await files.glob([`${folder}/**/*.log`])).toEqual(
      ['a.log', 'b/deep.log', 'z.log'].map((name) => join(folder, name)),
    );
    expect(await files.glob([`${folder}/*`, `${folder}/a.*`], [`${folder}/*.gz`, `${folder}/z*`])).toEqual([
      join(folder, 'a.log'),
    ]);
    expect(await files.glob([join(folder, 'nothing')])).toEqual([]);
  });

  it('are found with their facts, whatever lies beside them', async () => {
    writeFileSync(join(folder, 'a.log'), 'four');
    symlinkSync(join(folder, 'circle.log'), join(folder, 'circle.log'));
    symlinkSync(join(folder, 'gone'), join(folder, 'dangling.log'));
    symlinkSync(join(folder, 'a.log'), join(folder, 'link.log'));
    const found = await files.find([`${folder}/*.log`]);
    expect(found.map(({ path }) => path)).toEqual([join(folder, 'a.log'), join(folder, 'link.log')]);
    const facts = await files.facts(join(folder, 'a.log'));
    expect(found.map((each) => each.facts)).toEqual([facts, facts]);
    expect(facts).toMatchObject({ kind: 'file', byteLength: 4 });
  });

  it('are listed by name, sorted', async () => {
    for (const name of ['b', '[a]', 'c*']) writeFileSync(join(folder, name), '');
    mkdirSync(join(folder, 'd'));
    expect(await files.list(folder)).toEqual(['[a]', 'b', 'c*', 'd']);
    expect(await files.list(join(folder, 'gone'))).toEqual([]);
    await expect(files.list(join(folder, 'b'))).rejects.toMatchObject({ operation: 'list' });
  });

  it('are followed through links, and nothing but files is opened', async () => {
    writeFileSync(join(folder, 'real'), 'text');
    symlinkSync(join(folder, 'real'), join(folder, 'link'));
    expect(await textOf(join(folder, 'link'))).toBe('text');
    execFileSync('mkfifo', [join(folder, 'pipe')], { stdio: 'ignore' });
    for (const name of ['pipe', '.']) {
      await expect(files.openToRead(join(folder, name))).rejects.toMatchObject({ code: 'SPILLWAY_STORAGE_IO' });
    }
    expect(await files.facts(join(folder, 'gone'))).toBeUndefined();
    expect(await files.facts(join(folder, 'real/below'))).toBeUndefined();
    await expect(files.openToRead(join(folder, 'gone'))).rejects.toMatchObject({ code: 'SPILLWAY_STORAGE_MISSING' });
  });

  it('are replaced as a whole, readable by their owner only', async () => {
    const path = join(folder, 'state/of/it.json');
    await files.makeDirectories(join(folder, 'state/of'));
    await files.makeDirectories(join(folder, 'state/of'));
    expect(await files.readText(path)).toBeUndefined();
    const long = 'ö'.repeat(100_000);
    for (const text of [long, 'short']) {
      await files.replaceText(path, text);
      expect(await files.readText(path)).toBe(text);
    }
    expect(readdirSync(join(folder, 'state/of'))).toEqual(['it.json']);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    writeFileSync(join(folder, 'file'), '');
    await expect(files.makeDirectories(join(folder, 'file/below'))).rejects.toMatchObject({
      operation: 'make directory',
    });
  });

  it('are written, kept, renamed and removed', async () => {
    const path = join(folder, 'out.log');
    for (const text of ['one', 'two']) {
      const file = await files.openToWrite(path);
      await file.write(new TextEncoder().encode(text), await file.byteLength());
      await file.syncData();
      await file.close();
    }
    expect(readFileSync(path, 'utf8')).toBe('onetwo');
    await files.rename(path, `${path}.1`);
    await files.remove(`${path}.1`);
    await files.remove(`${path}.1`);
    await files.syncDirectory(folder);
    expect(readdirSync(folder)).toEqual([]);
  });
});
