// The program in a process of its own, whose readers go away.

import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { afterEach, beforeEach, expect, it, onTestFinished } from 'vitest';

type Running = ChildProcessByStdio<null, Readable, Readable>;

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'spillway-main-'));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

function run(sinks: string, top = '', ...options: readonly string[]): Running {
  const file = join(folder, 'pipeline.yaml');
  const source = 'made: { type: generate, rate: 1000 }';
  writeFileSync(file, `data_dir: data\n${top}\nsources: { ${source} }\nsinks: { ${sinks} }\n`);
  const program = join(import.meta.dirname, 'main.ts');
  const child = spawn(process.execPath, ['--conditions=spillway-source', program, 'run', ...options, file], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  return child;
}

async function textOf(stream: Readable, pattern: RegExp): Promise<string> {
  let text = '';
  for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
    text += String(chunk);
    if (pattern.test(text)) break;
  }
  return text;
}

async function exitOf(child: Running): Promise<unknown> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  return child.exitCode ?? child.signalCode;
}

it.each(['disk', 'memory'])(
  'ends when nobody reads what its only sinks print, with a buffer of type %s',
  async (type) => {
    const sink = `type: console, inputs: [made], buffer: { type: ${type} }`;
    const child = run(`one: { ${sink} }, two: { ${sink} }`);
    const log = textOf(child.stderr, /has stopped/);
    await textOf(child.stdout, /\n/);
    child.stdout.destroy();
    expect(await log).toMatch(/nobody reads what the sinks print/);
    expect(await exitOf(child)).toBe(0);
  },
);

it('does not call a drain done that nobody reads', async () => {
  const sink = 'out: { type: console, inputs: [made] }';
  for (const [options, code] of [
    [[], 0],
    [['--drain'], 141],
  ] as const) {
    const child = run(sink, '', ...options);
    child.stdout.destroy(); // The first batch finds nobody.
    child.stderr.resume();
    expect(await exitOf(child)).toBe(code);
  }
});

it('goes on where another sink is left, and ends as asked', async () => {
  const file = `type: file, inputs: [made], path: ./out`;
  const child = run(`print: { type: console, inputs: [made] }, keep: { ${file} }`);
  await textOf(child.stdout, /\n/);
  child.stdout.destroy();
  expect(await textOf(child.stderr, /the sink is blocked/)).toContain('nobody reads stdout any more');
  child.kill('SIGTERM');
  expect(await exitOf(child)).toBe(0);
});

it('goes on when the reader of its log has gone', async () => {
  const child = run('drop: { type: blackhole, inputs: [made] }', 'health: { address: "127.0.0.1:0" }');
  const [, address = ''] = /"address":"(http:[^"]+)"/.exec(await textOf(child.stderr, /"address"[^\n]*\n/)) ?? [];
  child.stderr.destroy();
  for (let delivered = 0; delivered < 2_000; ) {
    const status = (await (await fetch(`${address}/status`)).json()) as StatusPart;
    delivered = status.sinks[0]?.delivered.events ?? 0;
  }
  child.kill('SIGTERM');
  expect(await exitOf(child)).toBe(0);
});

interface StatusPart {
  readonly sinks: readonly { readonly delivered: { readonly events: number } }[];
}

it('says which Node it needs to one that is too old to load it', async () => {
  const { engines } = JSON.parse(readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8'));
  const old = 'Object.defineProperty(process, "versions", { value: { ...process.versions, node: "20.20.2" } })';
  const main = join(import.meta.dirname, 'main.ts');
  const args = ['--conditions=spillway-source', `--import=data:text/javascript,${encodeURIComponent(old)}`, main];
  const child = spawn(process.execPath, [...args, '--version'], { stdio: ['ignore', 'pipe', 'pipe'] });
  child.stdout.resume();
  const said = await textOf(child.stderr, /\n/);
  expect(await exitOf(child)).toBe(2);
  expect(said).toContain(`error: spillway needs Node ${engines.node.replace('>=', '')} or newer, and this is 20.20.2`);
});
