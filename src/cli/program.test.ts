import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import packageJson from '../../package.json' with { type: 'json' };
import { CliRig } from '../../test/cli-rig.ts';
import { DiskBuffer } from '../engine/disk-buffer.ts';
import { version } from './version.ts';

let cli: CliRig;

beforeEach(() => {
  cli = new CliRig();
});

afterEach(() => cli.remove());

async function bufferWith(events: number, { path = 'buffers/archive', cursors = ['archive', 'old'] } = {}) {
  const buffer = await DiskBuffer.open({ path: cli.path(path), maxBytes: 2 ** 20, cursors });
  for (let id = 1; id <= events; id++) await buffer.append(new TextEncoder().encode(`event ${id}`));
  return buffer;
}

describe('spillway', () => {
  it('explains itself, and every command', async () => {
    expect(await cli.run('--help')).toBe(0);
    for (const word of ['run', 'validate', 'schema', 'inspect', 'verify', 'cursor', 'Exit codes', 'Start here']) {
      expect(cli.out).toContain(word);
    }
    for (const command of ['run', 'validate', 'schema', 'inspect', 'verify', 'cursor']) {
      expect(await cli.run(command, '--help')).toBe(0);
      expect(cli.out).toContain(`spillway ${command}`);
    }
    expect(cli.out.split('\n').every((line) => line.length <= 100)).toBe(true);
  });

  it('knows its version, the one of package.json', async () => {
    expect(version).toBe(packageJson.version);
    expect(await cli.run('--version')).toBe(0);
    expect(cli.out).toBe(`${version}\n`);
  });

  it.each([
    [[], 'Usage'],
    [['rum'], "unknown command 'rum'"],
    [['run'], "missing required argument 'config'"],
    [['run', 'a.yaml', '--log-level', 'loud'], 'Allowed choices are debug, info, warn, error'],
    [['verify', 'x', '--sloppy'], "unknown option '--sloppy'"],
  ])('refuses %j with exit code 2', async (args, text) => {
    expect(await cli.run(...args)).toBe(2);
    expect(cli.err).toContain(text);
  });
});

describe('inspect', () => {
  it('shows a buffer that is in use, and what its sinks are doing', async () => {
    await using buffer = await bufferWith(3);
    const delivery = await buffer.cursor('archive').read({ maxRecords: 2 });
    delivery?.ack();
    await buffer.removeCursor('nobody').catch(() => undefined);
    const sinks = [
      { id: 'archive', type: 'otlp', buffer: 'archive', state: 'blocked', reason: '401', sinceMs: Date.now() },
    ];
    writeFileSync(cli.path('status.json'), JSON.stringify({ pid: process.pid, writtenMs: 0, sinks }));
    cli.alive.add(process.pid);
    expect(await cli.run('inspect', 'buffers/archive')).toBe(0);
    expect(cli.out).toMatch(/held by +process \d+ on/);
    expect(cli.out).toMatch(/archive +\d events? +\d+ B .*otlp, blocked for \d+ ms: 401/);
    expect(cli.out).toMatch(/segment +bytes +first id +begun\n +1 +[\d.]+ \w+ +1 +\d+ ms ago/);
    expect(cli.out).toMatch(/old +3 events +21 B .*none in the last config.*spillway cursor remove .*archive old/);
  });

  it('answers with JSON, for one buffer or for all of a data directory', async () => {
    await (await bufferWith(2)).close();
    await (await bufferWith(5, { path: 'buffers/web', cursors: ['web'] })).close();
    expect(await cli.run('inspect', cli.path('buffers/web'), '--json')).toBe(0);
    expect(cli.json()).toMatchObject({ nextId: 6, clean: true, isInUse: false, cursors: [{ name: 'web' }] });
    expect(await cli.run('inspect', '.', '--json')).toBe(0);
    expect(cli.json()).toMatchObject([{ nextId: 3 }, { nextId: 6 }]);
    expect(await cli.run('inspect', 'buffers')).toBe(0);
    expect(cli.out).toMatch(/archive\n[\s\S]*web\n/);
    expect(cli.out).toContain('nobody; the last one was process');
  });

  it('says what is wrong with a directory, as text and as JSON', async () => {
    expect(await cli.run('inspect', 'nothing')).toBe(3);
    expect(cli.err).toMatch(/error: .*nothing[\s\S]*SPILLWAY_STORAGE_MISSING/);
    expect(await cli.run('inspect', '.', '--json')).toBe(3);
    expect(JSON.parse(cli.err)).toMatchObject({ error: { code: 'SPILLWAY_STORAGE_MISSING' } });
  });
});

describe('verify', () => {
  it('says whole with exit code 0, damaged with 4', async () => {
    await (await bufferWith(4)).close();
    expect(await cli.run('verify', 'buffers/archive')).toBe(0);
    expect(cli.out).toMatch(/4 frames, 4 records, 4 events[\s\S]*whole/);
    const path = cli.path('buffers/archive/0000000000000001.seg');
    const bytes = readFileSync(path);
    bytes[4096 + 60] = 1 ^ (bytes[4096 + 60] ?? 0);
    writeFileSync(path, bytes);
    expect(await cli.run('verify', 'buffers/archive')).toBe(4);
    expect(cli.out).toMatch(/damaged: 1 place/);
    expect(await cli.run('verify', 'buffers/archive', '--portable', '--json')).toBe(4);
    expect(cli.json()).toMatchObject({ isWhole: false, frames: 3, damage: [{ code: 'SPILLWAY_DAMAGE_FRAME' }] });
  });

  it('notices a ledger that lost a slot', async () => {
    await (await bufferWith(1)).close();
    truncateSync(cli.path('buffers/archive/ledger'), 9_000);
    expect(await cli.run('verify', 'buffers/archive')).toBe(4);
    expect(cli.out).toContain('1 of the 2 slots');
  });
});

describe('cursor remove', () => {
  it('says what would be given up, and does it when told to', async () => {
    await (await bufferWith(3)).close();
    expect(await cli.run('cursor', 'remove', 'buffers/archive', 'old')).toBe(0);
    expect(cli.out).toMatch(/Cursor old has 3 events \(21 B\) not delivered[\s\S]*Nothing was changed/);
    expect(await cli.run('cursor', 'remove', 'buffers/archive', 'old', '--yes')).toBe(0);
    expect(await cli.run('inspect', 'buffers/archive', '--json')).toBe(0);
    expect(cli.json<{ cursors: { name: string }[] }>().cursors.map(({ name }) => name)).toEqual(['archive']);
  });

  it('refuses the only cursor, one that is not there, and a buffer in use', async () => {
    await using buffer = await bufferWith(1);
    expect(await cli.run('cursor', 'remove', 'buffers/archive', 'gone', '--yes')).toBe(2);
    expect(cli.err).toContain('There are: archive, old');
    expect(await cli.run('cursor', 'remove', 'buffers/archive', 'old', '--yes')).toBe(3);
    expect(cli.err).toContain('SPILLWAY_STORAGE_LOCKED');
    await buffer.close();
    await (await bufferWith(1, { path: 'buffers/one', cursors: ['one'] })).close();
    expect(await cli.run('cursor', 'remove', 'buffers/one', 'one', '--yes')).toBe(2);
    expect(cli.err).toContain('it is the only one');
  });
});
