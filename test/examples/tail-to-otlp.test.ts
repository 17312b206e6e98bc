import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, copyFileSync, mkdtempSync, renameSync, rmSync, truncateSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { linesOf, type TailedLine } from '../tail-rig.ts';
import { root } from '../tidy/source.ts';

let folder = '';
let server: Server;
let received: TailedLine[] = [];
let child: ChildProcess | undefined;
let output = '';
let waiting: { holds(): boolean; seen(): void }[] = [];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'spillway-tail-test-'));
  received = [];
  output = '';
  waiting = [];
  server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const bytes = request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body;
    received.push(...linesOf({ signal: 'logs', events: 1, bytes }));
    response.setHeader('content-type', 'application/x-protobuf').end();
    for (const each of waiting.filter(({ holds }) => holds())) each.seen();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});

afterEach(async () => {
  child?.kill('SIGKILL');
  server.closeAllConnections();
  server.close();
  await once(server, 'close');
  rmSync(folder, { recursive: true, force: true });
});

function start(): void {
  const { port } = server.address() as AddressInfo;
  const config = join(root, 'examples/tail-to-otlp/pipeline.yaml');
  const main = join(root, 'src/cli/main.ts');
  const started = spawn(process.execPath, ['--conditions=spillway-source', main, 'run', config], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      LOG: join(folder, 'app.log'),
      RECEIVER: `http://127.0.0.1:${port}`,
      DATA_DIR: join(folder, 'data'),
    },
  });
  for (const stream of [started.stdout, started.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  child = started;
}

async function end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
  const ending = child;
  if (ending === undefined) return;
  child = undefined;
  ending.kill(signal);
  if (ending.exitCode === null && ending.signalCode === null) await once(ending, 'close');
  if (signal === 'SIGTERM') expect(ending.exitCode, output).toBe(0);
}

function receipt(text: string): Promise<void> {
  const holds = (): boolean => received.some((line) => line.text === text);
  return holds() ? Promise.resolve() : new Promise((seen) => void waiting.push({ holds, seen }));
}

const written: string[] = [];

function write(count: number, name = 'app.log'): void {
  const first = written.length;
  const lines = Array.from({ length: count }, (_, at) => `line ${first + at} of the log`);
  written.push(...lines);
  appendFileSync(join(folder, name), lines.map((line) => `${line}\n`).join(''));
}

test('loses no line through both kinds of rotation, a kill and a restart', async () => {
  const path = (name: string): string => join(folder, name);
  written.length = 0;
  write(500);
  start();
  await receipt(written[400] as string);

  renameSync(path('app.log'), path('app.log.1'));
  write(3, 'app.log.1');
  write(500);
  await receipt(written[900] as string);
  write(100);
  await end('SIGKILL');

  renameSync(path('app.log.1'), path('app.log.2'));
  copyFileSync(path('app.log'), path('app.log.1'));
  truncateSync(path('app.log'));
  write(50);
  start();
  await receipt(written.at(-2) as string);

  renameSync(path('app.log.2'), path('app.log.3'));
  renameSync(path('app.log.1'), path('app.log.2'));
  write(200);
  copyFileSync(path('app.log'), path('app.log.1'));
  truncateSync(path('app.log'));
  write(20);
  appendFileSync(path('app.log'), 'Error: it broke\n    at one\n    at two\nthe end\nbehind the end\n');
  await receipt('the end');
  for (const line of written) await receipt(line); // The last of a file waits for company first, see multiline.
  await end('SIGTERM');

  const byPlace = new Map(received.map((line) => [`${line.fingerprint}@${line.offset}`, line.text]));
  expect(received.every((line) => byPlace.get(`${line.fingerprint}@${line.offset}`) === line.text)).toBe(true);
  const texts = [...byPlace.values()];
  expect(written.filter((line) => !texts.includes(line))).toEqual([]);
  expect(texts.filter((line) => line.startsWith('line')).length).toBe(written.length);
  expect(texts).toContain('Error: it broke\n    at one\n    at two');
});
