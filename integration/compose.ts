// docker-compose.yml on an engine, with the images of this machine: a project of its own on free ports, which leaves
// nothing behind. `docker-compose` is taken before `docker compose`: what runs with the old one runs with the new one.
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { localImage } from './local-images.ts';
import { needs } from './requirements.ts';

const execute = promisify(execFile);
const root = join(import.meta.dirname, '..');
const file = join(root, 'docker-compose.yml');
/** What `.ci/run` removes when a run was killed. */
const labels = { 'org.testcontainers': 'true' };
/** So that compose sees services that are behind a profile. */
const everything = ['--profile', 'all'];

export interface ComposeOptions {
  /** Its name, which that of every container begins with. */
  readonly name: string;
  /** A folder for what it needs. */
  readonly folder: string;
  /** What the compose file takes from the environment. */
  readonly env: Readonly<Record<string, string>>;
}

export class Compose implements AsyncDisposable {
  readonly #args: readonly string[];
  readonly #env: NodeJS.ProcessEnv;

  private constructor(args: readonly string[], env: NodeJS.ProcessEnv) {
    this.#args = args;
    this.#env = env;
  }

  static async of({ name, folder, env }: ComposeOptions): Promise<Compose> {
    const labelled = join(folder, 'labels.json');
    const [services, volumes] = await Promise.all([composeConfig({}, '--services'), composeConfig({}, '--volumes')]);
    const more = { services: withLabels(services), volumes: withLabels(volumes), networks: { default: { labels } } };
    writeFileSync(labelled, JSON.stringify(more));
    const args = ['--project-name', name, '--file', file, '--file', labelled, ...everything];
    return new Compose(args, { ...process.env, ...env });
  }

  /** Runs a command, and gives what it printed. */
  run(...args: readonly string[]): Promise<string> {
    return compose([...this.#args, ...args], this.#env);
  }

  /** Runs a program in the container of a service. */
  exec(service: string, ...command: readonly string[]): Promise<string> {
    return this.run('exec', '-T', service, ...command);
  }

  /** Every marker in the files of a server, one a line: its own image may have nothing to read them with. */
  async markersOnDisk(service: string, path: string): Promise<string> {
    const container = (await this.run('ps', '--quiet', service)).trim();
    const reader = ['run', '--rm', '--volumes-from', `${container}:ro`, localImage('node') ?? ''];
    const grep = ['grep', '--recursive', '--text', '--no-filename', '--only-matching', 'event-[0-9]\\{6\\}', path];
    return (await execute('docker', [...reader, ...grep], { timeout: 60_000, maxBuffer: 64 * 1024 * 1024 })).stdout;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.run('kill').catch(() => undefined);
    await this.run('down', '--volumes', '--timeout', '1');
  }
}

/** What the compose file says when these variables are set, with defaults for the others; or a part of it, by name. */
export function composeConfig(env: Readonly<Record<string, string>>, ...part: readonly string[]): Promise<string> {
  return compose(['--file', file, ...everything, 'config', ...part], { ...process.env, ...env });
}

function withLabels(names: string): Record<string, object> {
  return Object.fromEntries(
    names
      .trim()
      .split('\n')
      .map((name) => [name, { labels }]),
  );
}

async function compose(args: readonly string[], env: NodeJS.ProcessEnv): Promise<string> {
  const isOld = needs('docker-compose-v1') === undefined;
  const [program, first] = isOld ? ['docker-compose', []] : ['docker', ['compose']];
  const limits = { timeout: 120_000, maxBuffer: 64 * 1024 * 1024 };
  const { stdout } = await execute(program, [...first, ...args], { cwd: root, env, ...limits });
  return stdout;
}
