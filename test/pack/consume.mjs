// What a user of the published package does first, as a program of theirs: it runs on plain JavaScript, in a folder
// where `spillway` is installed from the tarball, under every Node that the package supports.
import { deepStrictEqual, ok, rejects, strictEqual } from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

const manifestPath = createRequire(import.meta.url).resolve('spillway/package.json');
const manifest = JSON.parse(await readFile(manifestPath, 'utf8'));

async function importEverything() {
  for (const name of Object.keys(manifest.exports)) {
    const specifier = name.replace('.', 'spillway');
    if (name === './opentelemetry/register') continue; // It acts when it is imported.
    const options = name.endsWith('.json') ? { with: { type: 'json' } } : undefined;
    const module = await import(specifier, options);
    ok(Object.keys(module).length > 0, `${specifier} exports something`);
    for (const [key, value] of Object.entries(module)) ok(value !== undefined, `${specifier} defines ${key}`);
  }
}

async function refuseTheRest() {
  for (const hidden of ['spillway/dist/index.js', 'spillway/src/index.ts', 'spillway/engine']) {
    await rejects(import(hidden), { code: 'ERR_PACKAGE_PATH_NOT_EXPORTED' }, `${hidden} cannot be imported`);
  }
}

async function storeAndDeliver() {
  const { DiskBuffer } = await import('spillway');
  const path = await mkdtemp(join(tmpdir(), 'spillway-packed-'));
  try {
    const first = await DiskBuffer.open({ path, maxBytes: 4 * 1024 * 1024 });
    const stored = await first.append(new TextEncoder().encode('one'));
    deepStrictEqual(stored, { status: 'stored', recordId: 1 });
    await first.append(new TextEncoder().encode('two'), { events: 3 });
    await first.close({ drain: false });

    const second = await DiskBuffer.open({ path, maxBytes: 4 * 1024 * 1024 });
    const delivered = [];
    while (delivered.length < 2) {
      const delivery = await second.cursor('default').read();
      ok(delivery !== undefined, 'an open buffer with records delivers');
      for (const { id, events, payload } of delivery.records) {
        delivered.push([id, events, new TextDecoder().decode(payload)]);
      }
      delivery.ack();
    }
    await second.close();
    deepStrictEqual(delivered, [
      [1, 1, 'one'],
      [2, 3, 'two'],
    ]);
  } finally {
    await rm(path, { recursive: true, force: true });
  }
}

async function storeAndDeliverThroughRx() {
  const { DiskBuffer } = await import('spillway');
  const { throughBuffer } = await import('spillway/rxjs');
  const { lastValueFrom, mergeMap, toArray } = await import('rxjs');
  const path = await mkdtemp(join(tmpdir(), 'spillway-packed-'));
  try {
    const buffer = await DiskBuffer.open({ path, maxBytes: 4 * 1024 * 1024 });
    const input = ['one', 'two'].map((text) => ({ payload: new TextEncoder().encode(text) }));
    const stage = throughBuffer(buffer, { input, maxInFlight: 2 });
    const send = async (delivery) => {
      delivery.ack();
      return delivery.records.map(({ id }) => id);
    };
    const ids = await lastValueFrom(stage.pipe(mergeMap(send, 2), toArray()));
    deepStrictEqual(ids.flat(), [1, 2]);
    strictEqual(stage.stats().accepted.records, 2);
    await buffer.close();
  } finally {
    await rm(path, { recursive: true, force: true });
  }
}

/** The program that the package installs, with a config of the user's. */
async function runAPipeline() {
  const folder = await mkdtemp(join(tmpdir(), 'spillway-packed-'));
  const program = join(dirname(manifestPath), manifest.bin.spillway);
  const spillway = (...args) => promisify(execFile)(process.execPath, [program, ...args], { cwd: folder });
  try {
    const { stdout } = await spillway('--version');
    strictEqual(stdout.trim(), manifest.version);
    const sources = 'sources: { made: { type: generate, rate: 10000, count: 50, signals: [logs] } }';
    const sinks = 'sinks: { out: { type: file, inputs: [made], path: out.jsonl, encoding: { codec: text } } }';
    await writeFile(join(folder, 'pipeline.yaml'), `data_dir: data\n${sources}\n${sinks}\n`);
    await spillway('validate', 'pipeline.yaml');
    await spillway('run', 'pipeline.yaml');
    const lines = (await readFile(join(folder, 'out.jsonl'), 'utf8')).trim().split('\n');
    strictEqual(lines.length, 50);
    const verified = JSON.parse((await spillway('verify', 'data/buffers/out', '--json')).stdout);
    ok(verified.isWhole);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

strictEqual(manifest.name, 'spillway');
await importEverything();
await refuseTheRest();
await storeAndDeliver();
await storeAndDeliverThroughRx();
await runAPipeline();
process.stdout.write(`ok ${process.version}\n`);
