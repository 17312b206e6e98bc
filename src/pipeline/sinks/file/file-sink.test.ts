import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ZodType } from 'zod';
import type { StorageErrorKind } from '../../../base/errors.ts';
import { encodeRequest } from '../../../otlp/encode.ts';
import type { Signal } from '../../../otlp/signal.ts';
import type { FileHandle } from '../../../platform/file-system.ts';
import type { HostFiles } from '../../../platform/host-files.ts';
import { NodeHostFiles } from '../../../platform/node-host-files.ts';
import { storageError } from '../../../platform/storage-errors.ts';
import { realWorld, testSinkContext } from '../../../testing/pipeline-contexts.ts';
import type { Sink, SinkBatch } from '../../contract/sink.ts';
import { fileSink } from './file-sink.ts';

let folder = '';
const sinks: Sink[] = [];
const noSignal = { signal: new AbortController().signal };

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'spillway-file-sink-'));
});

afterEach(async () => {
  for (const sink of sinks.splice(0)) await sink.close?.();
  rmSync(folder, { recursive: true, force: true });
});

type Fault = (operation: string, path: string) => 'fail' | 'short' | undefined;

/** The host's files, with faults: `fail` rejects, `short` writes one byte less and fails the write after it. */
class FaultyFiles extends NodeHostFiles {
  fault: Fault = () => undefined;
  kind: StorageErrorKind = 'io';
  readonly calls: string[] = [];

  override async openToWrite(path: string): Promise<FileHandle> {
    this.#check('open', path);
    const handle = await super.openToWrite(path);
    const check = (operation: string): void => this.#check(operation, path);
    return {
      path,
      read: (target, position) => handle.read(target, position),
      write: async (source, position) => {
        if (this.fault('write', path) !== 'short') check('write');
        else this.fault = (operation) => (operation === 'write' ? 'fail' : undefined);
        return await handle.write(source.length > 1 ? source.subarray(0, source.length - 1) : source, position);
      },
      syncData: async () => {
        check('sync');
        await handle.syncData();
      },
      truncate: async (byteLength) => {
        check('truncate');
        await handle.truncate(byteLength);
      },
      byteLength: () => handle.byteLength(),
      close: () => handle.close(),
    };
  }

  override async rename(from: string, to: string): Promise<void> {
    this.#check('rename', from);
    await super.rename(from, to);
  }

  override async remove(path: string): Promise<void> {
    this.#check('remove', path);
    await super.remove(path);
  }

  override async syncDirectory(path: string): Promise<void> {
    this.#check('sync directory', path);
    await super.syncDirectory(path);
  }

  #check(operation: string, path: string): void {
    this.calls.push(operation);
    if (this.fault(operation, path) === 'fail') {
      throw storageError(this.kind, operation as 'write', path, 'the test answered so');
    }
  }
}

interface Given {
  readonly files?: HostFiles;
  readonly nowMs?: () => number;
}

async function sinkOf(given: object, { files = new NodeHostFiles(), nowMs = Date.now }: Given = {}) {
  const world = realWorld();
  const clock = {
    now: nowMs,
    monotonic: () => world.clock.monotonic(),
    setTimer: (delayMs: number, task: () => void) => world.clock.setTimer(delayMs, task),
    defer: (task: () => void) => world.clock.defer(task),
  };
  const context = testSinkContext({ world: { ...world, files, clock } });
  const options = (fileSink.schema as ZodType).parse({ path: join(folder, 'out.jsonl'), ...given });
  const sink = await fileSink.create(options as never, context);
  sinks.push(sink);
  return { sink, log: context.log, deliver: (batch: SinkBatch) => sink.deliver(batch, noSignal) };
}

function bytesOf(body: string): Uint8Array {
  const logRecords = [{ body: { stringValue: body } }];
  return encodeRequest('logs', { resourceLogs: [{ scopeLogs: [{ logRecords }] }] });
}

function batchOf(...bodies: readonly string[]): SinkBatch {
  return batchWith('logs', bodies.map(bytesOf));
}

function batchWith(signal: Signal, payloads: readonly Uint8Array[]): SinkBatch {
  const records = payloads.map((bytes, at) => ({ signal, bytes, events: 1, id: at + 1, origin: 'o/1' }));
  const merged = Buffer.concat(payloads);
  return { signal, records, events: records.length, byteLength: merged.length, merged: () => merged };
}

function jsonOf(body: string): string {
  return JSON.stringify({ resourceLogs: [{ scopeLogs: [{ logRecords: [{ body: { stringValue: body } }] }] }] });
}

const text = (name: string): string => readFileSync(join(folder, name), 'utf8');
const linesIn = (name: string): string[] => text(name).split('\n').slice(0, -1);
const inText = { encoding: { codec: 'text' } };

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

describe('lines', () => {
  it('are OTLP JSON, a request each, made where no folder was, durable before the answer', async () => {
    const files = new FaultyFiles();
    const { deliver } = await sinkOf({ path: join(folder, 'a/b/out.jsonl') }, { files });
    expect(await deliver(batchOf('one', 'two'))).toEqual({ kind: 'delivered' });
    expect(text('a/b/out.jsonl')).toBe(`${jsonOf('one')}\n${jsonOf('two')}\n`);
    expect(files.calls.at(-1)).toBe('sync');
    expect(files.calls.indexOf('sync directory')).toBeLessThan(files.calls.indexOf('write'));
  });

  it('are text, one line an event, on request', async () => {
    const { deliver } = await sinkOf(inText);
    await deliver(batchOf('one\ntwo', 'three'));
    await deliver(batchOf('four'));
    expect(linesIn('out.jsonl')).toEqual(['one\\ntwo', 'three', 'four']);
  });

  it('are as many as a record has events', async () => {
    const logRecords = new Array(200_000).fill({ severityNumber: 9 });
    const bytes = encodeRequest('logs', { resourceLogs: [{ scopeLogs: [{ logRecords }] }] });
    const { deliver } = await sinkOf(inText);
    expect(await deliver(batchWith('logs', [bytes]))).toEqual({ kind: 'delivered' });
    expect(text('out.jsonl')).toBe('\n'.repeat(200_000));
  });

  it('are not written of a batch that holds what is no request', async () => {
    const { deliver } = await sinkOf({});
    const answer = await deliver(batchWith('logs', [bytesOf('one'), Uint8Array.of(10, 255)]));
    expect(answer).toMatchObject({ kind: 'rejected' });
    expect(existsSync(join(folder, 'out.jsonl'))).toBe(false);
  });

  it('go where date and signal say', async () => {
    let nowMs = Date.UTC(2026, 10, 20, 23, 59, 59, 999);
    const path = join(folder, '%Y-%m-%d/%H%M%S-{signal}.100%%');
    const { deliver } = await sinkOf({ path, ...inText }, { nowMs: () => nowMs });
    await deliver(batchOf('one'));
    nowMs += 1;
    await deliver(batchOf('two'));
    const span = encodeRequest('traces', { resourceSpans: [{ scopeSpans: [{ spans: [{ name: 'get' }] }] }] });
    await deliver(batchWith('traces', [span]));
    expect(text('2026-11-20/235959-logs.100%')).toBe('one\n');
    expect(text('2026-11-21/000000-logs.100%')).toBe('two\n');
    expect(text('2026-11-21/000000-traces.100%')).toContain('get');
  });
});

describe('options', () => {
  it.each([
    { path: 'out-%y' },
    { path: 'out-%' },
    { path: 'out/' },
    { path: '{{ service }}.log' },
    { path: 'out', compression: 'gzip' },
    { path: 'out', rotate: { keep: 3 } },
    { path: 'out', rotate: { max_size: 0 } },
    { path: 'out', encoding: { codec: 'csv' } },
    { path: 'out', colour: true },
  ])('refuse %o', (given) => {
    expect((fileSink.schema as ZodType).safeParse(given).success).toBe(false);
  });
});

describe('a start', () => {
  it('cuts what a crash has torn, and says so', async () => {
    writeFileSync(join(folder, 'out.jsonl'), `whole\n${'x'.repeat(200_000)}`);
    const { deliver, log } = await sinkOf(inText);
    await deliver(batchOf('next'));
    expect(text('out.jsonl')).toBe('whole\nnext\n');
    expect(log.lines).toMatchObject([{ level: 'warn', fields: { cutBytes: 200_000 } }]);
  });

  it('cuts at every place the same way', async () => {
    const whole = 'one\ntwo\nthree\n';
    for (let cut = 0; cut <= whole.length; cut++) {
      writeFileSync(join(folder, 'out.jsonl'), whole.slice(0, cut));
      const { sink, deliver } = await sinkOf(inText);
      await deliver(batchOf('next'));
      await sink.close?.();
      const kept = whole.slice(0, cut).split('\n').slice(0, -1);
      expect(linesIn('out.jsonl')).toEqual([...kept, 'next']);
    }
  });

  it('is healthy where it can write, blocked where it cannot', async () => {
    const good = await sinkOf({});
    expect(await good.sink.checkHealth?.(noSignal)).toEqual({ kind: 'healthy' });
    const bySignal = await sinkOf({ path: join(folder, 'deep/{signal}.jsonl') });
    expect(await bySignal.sink.checkHealth?.(noSignal)).toEqual({ kind: 'healthy' });
    expect(readdirSync(join(folder, 'deep'))).toEqual([]);
    writeFileSync(join(folder, 'file'), '');
    mkdirSync(join(folder, 'directory'));
    for (const path of ['file/out', 'directory', '{signal}/x']) {
      if (path === '{signal}/x') writeFileSync(join(folder, 'traces'), '');
      const { sink, deliver } = await sinkOf({ path: join(folder, path) });
      expect(await sink.checkHealth?.(noSignal), path).toMatchObject({ kind: 'blocked' });
      if (path !== '{signal}/x') expect(await deliver(batchOf('one'))).toMatchObject({ kind: 'blocked' });
    }
  });

  it('refuses a second writer of the same file, by path or by link, until the first has gone', async () => {
    const first = await sinkOf(inText);
    await first.deliver(batchOf('one'));
    symlinkSync(join(folder, 'out.jsonl'), join(folder, 'link'));
    const second = await sinkOf(inText);
    const third = await sinkOf({ ...inText, path: join(folder, 'link') });
    for (const { deliver, sink } of [second, third]) {
      expect(await deliver(batchOf('two'))).toMatchObject({
        kind: 'blocked',
        reason: expect.stringContaining('another'),
      });
      expect(await sink.checkHealth?.(noSignal)).toMatchObject({ kind: 'blocked' });
    }
    await first.sink.close?.();
    expect(await second.deliver(batchOf('two'))).toEqual({ kind: 'delivered' });
    expect(linesIn('out.jsonl')).toEqual(['one', 'two']);
  });
});

describe('somebody else', () => {
  it('moves the file away or cuts it: what comes next is in the file of that name', async () => {
    const { deliver } = await sinkOf(inText);
    await deliver(batchOf('one'));
    const files = new NodeHostFiles();
    await files.rename(join(folder, 'out.jsonl'), join(folder, 'moved'));
    await deliver(batchOf('two'));
    expect([text('moved'), text('out.jsonl')]).toEqual(['one\n', 'two\n']);
    writeFileSync(join(folder, 'out.jsonl'), '');
    await deliver(batchOf('three'));
    expect(text('out.jsonl')).toBe('three\n');
    rmSync(join(folder, 'out.jsonl'));
    await deliver(batchOf('four'));
    expect(text('out.jsonl')).toBe('four\n');
  });
});

describe('a fault', () => {
  it.each(['full', 'io'] as const)('in a write (%s) leaves no torn line, and the batch comes whole', async (kind) => {
    const files = new FaultyFiles();
    files.kind = kind;
    const { deliver } = await sinkOf(inText, { files });
    await deliver(batchOf('one'));
    files.fault = () => 'short';
    expect(await deliver(batchOf('two', 'three'))).toMatchObject({
      kind: 'retryable',
      reason: expect.stringContaining('write'),
    });
    expect(text('out.jsonl')).toBe('one\n');
    files.fault = () => undefined;
    expect(await deliver(batchOf('two', 'three'))).toEqual({ kind: 'delivered' });
    expect(linesIn('out.jsonl')).toEqual(['one', 'two', 'three']);
    expect(readdirSync(folder)).toEqual(['out.jsonl']);
  });

  it.each([
    ['open', 'full', 'retryable'],
    ['open', 'limit', 'retryable'],
    ['open', 'denied', 'blocked'],
    ['open', 'read_only', 'blocked'],
    ['open', 'io', 'blocked'],
    ['write', 'denied', 'blocked'],
    ['write', 'read_only', 'blocked'],
    ['sync directory', 'io', 'retryable'],
  ] as const)('in %s of kind %s is %s', async (operation, kind, answer) => {
    const files = new FaultyFiles();
    files.kind = kind;
    files.fault = (called) => (called === operation ? 'fail' : undefined);
    const { deliver } = await sinkOf(inText, { files });
    expect(await deliver(batchOf('one'))).toMatchObject({ kind: answer });
    files.fault = () => undefined;
    expect(await deliver(batchOf('one'))).toEqual({ kind: 'delivered' });
    expect(linesIn('out.jsonl')).toEqual(['one']);
  });

  it('in a sync is no delivery, and nothing is written to that file any more', async () => {
    const files = new FaultyFiles();
    const { deliver, log } = await sinkOf(inText, { files });
    await deliver(batchOf('one'));
    files.fault = (operation) => (operation === 'sync' ? 'fail' : undefined);
    expect(await deliver(batchOf('two'))).toMatchObject({ kind: 'retryable', reason: expect.stringContaining('sync') });
    files.fault = () => undefined;
    expect(await deliver(batchOf('two'))).toEqual({ kind: 'delivered' });
    expect([text('out.jsonl.000001'), text('out.jsonl')]).toEqual(['one\n', 'two\n']);
    expect(log.lines.some(({ message }) => message.includes('sync has failed'))).toBe(true);
  });

  it('in every call in turn loses nothing that was answered, and tears no line', async () => {
    let faults = 0;
    for (let at = 1; ; at++) {
      rmSync(folder, { recursive: true });
      mkdirSync(folder);
      const files = new FaultyFiles();
      let calls = 0;
      let isReached = false;
      files.fault = () => {
        calls += 1;
        if (calls !== at) return undefined;
        isReached = true;
        return 'fail';
      };
      const { sink, deliver } = await sinkOf({ ...inText, rotate: { max_size: 12 } }, { files });
      for (let number = 100; number < 108; number++) {
        for (let tries = 0; (await deliver(batchOf(String(number)))).kind !== 'delivered'; tries++) {
          expect(tries, `call ${at}`).toBeLessThan(3);
        }
      }
      await sink.close?.();
      const lines = readdirSync(folder).sort(byAge).flatMap(linesIn);
      const found = [...new Set(lines)];
      expect(found, `call ${at}`).toEqual(['100', '101', '102', '103', '104', '105', '106', '107']);
      if (!isReached) break;
      faults += 1;
    }
    expect(faults).toBeGreaterThan(20);
  });
});

const byAge = (a: string, b: string): number => (a === 'out.jsonl' ? 1 : b === 'out.jsonl' ? -1 : a < b ? -1 : 1);

describe('rotation', () => {
  it('puts a file aside before it would be too large, and goes on after a restart', async () => {
    for (let number = 0; number < 10; number++) {
      const { sink, deliver } = await sinkOf({ ...inText, rotate: { max_size: 8 } });
      await deliver(batchOf(`l${number}`));
      if (number === 5) await deliver(batchOf('longer than a file may be'));
      await sink.close?.();
    }
    const names = readdirSync(folder).sort(byAge);
    expect(names.map(linesIn)).toEqual([
      ['l0', 'l1'],
      ['l2', 'l3'],
      ['l4', 'l5'],
      ['longer than a file may be'],
      ['l6', 'l7'],
      ['l8', 'l9'],
    ]);
  });

  it('puts a file aside when its period is over, also when that was while nobody ran', async () => {
    let nowMs = Date.UTC(2026, 10, 20, 13, 59, 58);
    const clock = { nowMs: () => nowMs };
    const hourly = { ...inText, rotate: { every_secs: 3_600 } };
    const first = await sinkOf(hourly, clock);
    await first.deliver(batchOf('one'));
    nowMs += 1_000;
    await first.deliver(batchOf('two'));
    nowMs += 1_000;
    await first.deliver(batchOf('three'));
    expect([text('out.jsonl.000001'), text('out.jsonl')]).toEqual(['one\ntwo\n', 'three\n']);
    nowMs -= 3_600_000; // A clock that is set back is no reason.
    await first.deliver(batchOf('four'));
    await first.sink.close?.();
    nowMs += 7_200_000;
    const lastWrite = new Date(nowMs - 3_600_000);
    utimesSync(join(folder, 'out.jsonl'), lastWrite, lastWrite);
    const second = await sinkOf(hourly, clock);
    await second.deliver(batchOf('five'));
    expect([text('out.jsonl.000002'), text('out.jsonl')]).toEqual(['three\nfour\n', 'five\n']);
  });

  it('keeps so many, the youngest, and nobody else’s files', async () => {
    for (const name of ['out.jsonl.old', 'out.jsonl.20261120', 'other.000001'])
      writeFileSync(join(folder, name), 'x\n');
    const { sink, deliver } = await sinkOf({ ...inText, rotate: { max_size: 1, keep: 2 } });
    for (let number = 0; number < 6; number++) await deliver(batchOf(`l${number}`));
    await until(() => readdirSync(folder).length <= 6);
    await sink.close?.();
    expect(readdirSync(folder)).toEqual([
      'other.000001',
      'out.jsonl',
      'out.jsonl.000004',
      'out.jsonl.000005',
      'out.jsonl.20261120',
      'out.jsonl.old',
    ]);
    expect(text('out.jsonl.000005')).toBe('l4\n');
  });
});

describe('compression', () => {
  const packed = { ...inText, rotate: { max_size: 1 }, compression: 'gzip' };
  const unpacked = (name: string): string => gunzipSync(readFileSync(join(folder, name))).toString();

  it('packs what was put aside, and counts it among those to keep', async () => {
    const { deliver } = await sinkOf({ ...packed, rotate: { max_size: 1, keep: 2 } });
    for (let number = 0; number < 5; number++) {
      await deliver(batchOf(`l${number}`));
      if (number > 0) await until(() => existsSync(join(folder, `out.jsonl.00000${number}.gz`)));
    }
    await until(() => readdirSync(folder).length === 3);
    expect(readdirSync(folder)).toEqual(['out.jsonl', 'out.jsonl.000003.gz', 'out.jsonl.000004.gz']);
    expect(unpacked('out.jsonl.000004.gz')).toBe('l3\n');
  });

  it('is taken up where a crash has left it', async () => {
    const large = 'a line that comes again and again\n'.repeat(50_000);
    writeFileSync(join(folder, 'out.jsonl.000001'), 'was being packed\n');
    writeFileSync(join(folder, 'out.jsonl.000001.gz.new'), 'half a fi');
    writeFileSync(join(folder, 'out.jsonl.000002'), 'was packed\n');
    writeFileSync(join(folder, 'out.jsonl.000002.gz'), 'the whole of it');
    writeFileSync(join(folder, 'out.jsonl.000003'), large);
    const { deliver } = await sinkOf({ ...packed, rotate: { max_size: 1_000 } });
    await deliver(batchOf('one'));
    const names = ['out.jsonl', 'out.jsonl.000001.gz', 'out.jsonl.000002.gz', 'out.jsonl.000003.gz'];
    await until(() => readdirSync(folder).join() === names.join());
    expect(unpacked('out.jsonl.000001.gz')).toBe('was being packed\n');
    expect(text('out.jsonl.000002.gz')).toBe('the whole of it');
    expect(unpacked('out.jsonl.000003.gz')).toBe(large);
  });

  it('fails without harm to what is delivered, says so once, and is tried again', async () => {
    const files = new FaultyFiles();
    files.kind = 'full';
    files.fault = (operation, path) => (operation === 'write' && path.endsWith('.gz.new') ? 'fail' : undefined);
    const { deliver, log } = await sinkOf(packed, { files });
    for (let number = 0; number < 4; number++)
      expect(await deliver(batchOf(`l${number}`))).toEqual({ kind: 'delivered' });
    await until(() => log.lines.length > 0);
    files.fault = () => undefined;
    await deliver(batchOf('l4'));
    await until(() => readdirSync(folder).filter((name) => name.endsWith('.gz')).length === 4);
    await until(() => readdirSync(folder).length === 5);
    expect(log.lines).toHaveLength(1);
    expect(unpacked('out.jsonl.000001.gz')).toBe('l0\n');
  });

  it('does not hold up a close', async () => {
    writeFileSync(join(folder, 'out.jsonl.000001'), 'a line\n');
    const files = new NodeHostFiles();
    const endless = {
      read: async (target: Uint8Array) => target.length,
      facts: () => Promise.reject(),
      close: async () => undefined,
    };
    files.openToRead = async (path) => ({ path, ...endless });
    const { sink, deliver } = await sinkOf(packed, { files });
    await deliver(batchOf('one'));
    await sink.close?.();
    expect(readdirSync(folder)).toEqual(['out.jsonl', 'out.jsonl.000001']);
  });
});

it('answers at once when it is told to stop', async () => {
  const { sink } = await sinkOf(inText);
  const stopped = { signal: AbortSignal.abort() };
  expect(await sink.deliver(batchOf('one'), stopped)).toMatchObject({ kind: 'retryable' });
  expect(existsSync(join(folder, 'out.jsonl'))).toBe(false);
});
