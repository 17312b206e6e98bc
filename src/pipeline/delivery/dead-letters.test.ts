import { appendFileSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { bytesOf } from '../../../test/buffer-rig.ts';
import type { FileHandle } from '../../platform/file-system.ts';
import type { HostFiles } from '../../platform/host-files.ts';
import { realWorld } from '../../testing/index.ts';
import { markersIn, sampleRecord } from '../../testing/otlp-samples.ts';
import { type DeadLetter, DeadLetters } from './dead-letters.ts';

let folder = '';
let path = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'spillway-dead-letters-'));
  path = join(folder, 'made/letters.jsonl');
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

function letterBox(options: { readonly maxBytes?: number; readonly files?: HostFiles } = {}): DeadLetters {
  const { clock, files } = realWorld();
  const { maxBytes = 1_000_000 } = options;
  return new DeadLetters({ path, maxBytes, sink: 'archive', world: { clock, files: options.files ?? files } });
}

function letter(id: number, events = 1, reason = 'no such index'): DeadLetter {
  return { ...sampleRecord('logs', id, events), reason };
}

function lines(): Record<string, unknown>[] {
  const text = readFileSync(path, 'utf8');
  expect(text.endsWith('\n')).toBe(true);
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** The host's files, but that what is written goes through `change`. */
function filesWith(change: (file: FileHandle) => Partial<FileHandle>): HostFiles {
  const { files } = realWorld();
  const changed = Object.create(files) as HostFiles;
  changed.openToWrite = async (where) => {
    const file = await files.openToWrite(where);
    const through: FileHandle = {
      path: file.path,
      read: (target, position) => file.read(target, position),
      write: (source, position) => file.write(source, position),
      syncData: () => file.syncData(),
      truncate: (byteLength) => file.truncate(byteLength),
      byteLength: () => file.byteLength(),
      close: () => file.close(),
    };
    return { ...through, ...change(file) };
  };
  return changed;
}

describe('a line', () => {
  it('says when, who, why, which, and holds the event as OTLP JSON', async () => {
    const box = letterBox();
    expect(await box.write([letter(7, 2)])).toEqual({ written: 1 });
    const [line] = lines();
    expect(line).toMatchObject({
      sink: 'archive',
      reason: 'no such index',
      signal: 'logs',
      events: 2,
      request: { resourceLogs: [{ scopeLogs: [{ logRecords: [{ body: { stringValue: 'event-000007' } }, {}] }] }] },
    });
    expect(line?.['key']).toBe(`${letter(7).origin}-7`);
    expect(Math.abs(Date.parse(String(line?.['time'])) - Date.now())).toBeLessThan(60_000);
  });

  it('holds bytes that are no request as they are', async () => {
    const bytes = bytesOf('\xff no request');
    const box = letterBox();
    await box.write([
      { ...letter(1), bytes },
      { ...letter(2), bytes, signal: undefined },
    ]);
    for (const line of lines()) expect(Buffer.from(String(line['base64']), 'base64')).toEqual(Buffer.from(bytes));
    expect(lines().map(({ signal }) => signal)).toEqual(['logs', undefined]);
  });
});

describe('the file', () => {
  it('is made with its folder, for its owner only, and is added to by everybody who comes later', async () => {
    await letterBox().write([letter(1)]);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const box = letterBox();
    await Promise.all([box.write([letter(2), letter(3)]), box.write([letter(4)])]);
    await box.close();
    expect(lines().map(({ key }) => String(key).replace(/.*-/, ''))).toEqual(['1', '2', '3', '4']);
  });

  it('goes on with a new line where a crash has cut the last one', async () => {
    const box = letterBox();
    await box.write([letter(1)]);
    appendFileSync(path, '{"time":"2025-');
    await box.write([letter(2)]);
    const text = readFileSync(path, 'utf8').split('\n');
    expect(text.length).toBe(4);
    expect([markersIn(text[0] ?? ''), text[1], markersIn(text[2] ?? '')]).toEqual([
      ['event-000001'],
      '{"time":"2025-',
      ['event-000002'],
    ]);
  });

  it('takes nothing more when it is full, and says so, until somebody moves it away', async () => {
    await letterBox().write([letter(1)]);
    const lineBytes = statSync(path).size;
    const box = letterBox({ maxBytes: lineBytes * 3 });
    expect(await box.write([2, 3, 4, 5].map((id) => letter(id)))).toEqual({
      written: 2,
      failure: expect.stringMatching(/full: .*letters\.jsonl has \d+ of \d+ bytes; move the file away/),
    });
    expect((await box.write([letter(4)])).written).toBe(0);
    expect(statSync(path).size).toBe(lineBytes * 3);
    renameSync(path, `${path}.old`);
    expect(await box.write([letter(4), letter(5)])).toEqual({ written: 2 });
    expect(lines().length).toBe(2);
  });

  it('takes a single line that is larger than all of it: nothing else could ever free the sink', async () => {
    const box = letterBox({ maxBytes: 10 });
    expect((await box.write([letter(1), letter(2)])).written).toBe(1);
    expect(lines().length).toBe(1);
  });
});

describe('a disk that says no', () => {
  it('is an answer, and leaves the file as it was', async () => {
    await letterBox().write([letter(1)]);
    const before = readFileSync(path, 'utf8');
    let isFull = true;
    let writes = 0;
    const files = filesWith((file) => ({
      write: async (source, position) => {
        writes += 1;
        if (isFull && writes > 1) throw new Error('ENOSPC');
        return await file.write(source, position);
      },
    }));
    const box = letterBox({ files });
    const failure = 'the dead letters cannot be written: ENOSPC';
    expect(await box.write([letter(2), letter(3)])).toEqual({ written: 0, failure });
    expect(readFileSync(path, 'utf8')).toBe(before);
    isFull = false;
    expect(await box.write([letter(2), letter(3)])).toEqual({ written: 2 });
    expect(lines().length).toBe(3);
  });

  it('may take a few bytes at a time', async () => {
    const files = filesWith((file) => ({
      write: async (source, position) => await file.write(source.subarray(0, 7), position),
    }));
    await letterBox({ files }).write([letter(1), letter(2)]);
    expect(lines().length).toBe(2);
  });

  it('has not taken what it did not sync', async () => {
    const files = filesWith(() => ({ syncData: () => Promise.reject(new Error('EIO')) }));
    expect(await letterBox({ files }).write([letter(1)])).toEqual({
      written: 0,
      failure: expect.stringContaining('EIO'),
    });
    expect(readFileSync(path, 'utf8')).toBe('');
  });

  it('is an answer also where no file can be made', async () => {
    writeFileSync(join(folder, 'made'), 'a file where the folder should be');
    const { written, failure } = await letterBox().write([letter(1)]);
    expect([written, failure]).toEqual([0, expect.stringContaining('the dead letters cannot be written: ')]);
  });
});
