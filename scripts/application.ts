// Puts into a folder what a machine needs to run Spillway, and nothing else: npm run application -- folder
// That is the package and its plugins as they are published, and their dependencies in the versions of the lockfile.
//
// The Dockerfile copies this folder into its image. npm finds most of what it installs in its cache: where the
// repository itself was installed before, no registry is needed.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { delimiter, dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

const root = dirname(import.meta.dirname);

class Failed extends Error {}

function run(program: string, args: readonly string[], cwd: string): void {
  // npm scripts put the pinned Node first on the path, which is not the one that npm was made for.
  const path = (process.env['PATH'] ?? '')
    .split(delimiter)
    .filter((entry) => !entry.startsWith(join(root, 'node_modules')));
  const env = { ...process.env, PATH: path.join(delimiter) };
  const { status, error } = spawnSync(program, args, { cwd, stdio: ['ignore', 2, 2], env });
  if (status !== 0) throw new Failed(`${program} ${args[0]} failed${error === undefined ? '' : `: ${error.message}`}`);
}

/** Folders of all workspaces but the package itself, relative to the root. */
function workspaces(): string[] {
  const nested = ['plugins', 'examples'].flatMap((parent) =>
    readdirSync(join(root, parent)).map((name) => `${parent}/${name}`),
  );
  return [...nested, 'integration'].filter((folder) => existsSync(join(root, folder, 'package.json')));
}

function copy(out: string, ...paths: readonly string[]): void {
  for (const path of paths) cpSync(join(root, path), join(out, path), { recursive: true });
}

function manifestOf(folder: string): { readonly name: string; readonly files: readonly string[] } {
  return JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'));
}

/** What its manifest says is published. */
function publishedIn(folder: string): string[] {
  return manifestOf(folder).files.map((file) => join(folder, file));
}

function assemble(out: string): void {
  run(process.execPath, [join(root, 'scripts/build.ts')], root);
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  const folders = workspaces();
  const plugins = folders.filter((folder) => folder.startsWith('plugins/'));
  // npm wants to see every workspace that the lockfile names, also those that it shall not install.
  copy(out, 'package.json', 'package-lock.json', '.npmrc', ...folders.map((folder) => `${folder}/package.json`));
  const wanted = ['.', ...plugins].flatMap((folder) => ['--workspace', manifestOf(folder).name]);
  run('npm', ['ci', '--omit=dev', '--omit=optional', '--prefer-offline', '--loglevel=error', ...wanted], out);
  for (const folder of folders.filter((each) => !plugins.includes(each))) {
    rmSync(join(out, 'node_modules', manifestOf(folder).name), { force: true });
    rmSync(join(out, folder), { recursive: true });
  }
  rmSync(join(out, 'examples'), { recursive: true, force: true });
  copy(out, 'LICENSE', ...['.', ...plugins].flatMap(publishedIn));
  for (const file of ['package-lock.json', '.npmrc']) rmSync(join(out, file));
}

const { positionals } = parseArgs({ allowPositionals: true });
const [folder] = positionals;
try {
  if (folder === undefined || existsSync(resolve(folder, '.git'))) throw new Failed('name a folder to put it into');
  assemble(existsSync(folder) ? realpathSync(folder) : resolve(folder));
} catch (error) {
  if (!(error instanceof Failed)) throw error;
  process.stderr.write(`npm run application: ${error.message}\n`);
  process.exitCode = 1;
}
