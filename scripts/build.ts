// Turns src/ into dist/ as it is published, then each plugin's: npm run build [-- --out folder]
// With --out only the package itself is built, there. A folder is emptied first: a file left over from an older build
// would be packed and could still be imported.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

const root = dirname(import.meta.dirname);
const compiler = join(root, 'node_modules/typescript/bin/tsc');
const { values } = parseArgs({ options: { out: { type: 'string' } } });

function build(folder: string, out: string): boolean {
  rmSync(out, { recursive: true, force: true });
  const args = [compiler, '--project', join(folder, 'tsconfig.build.json'), '--outDir', out];
  const built = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' });
  return built.status === 0;
}

function pluginFolders(): string[] {
  const folders = readdirSync(join(root, 'plugins')).map((name) => join(root, 'plugins', name));
  return folders.filter((folder) => existsSync(join(folder, 'tsconfig.build.json')));
}

const isWhole = values.out === undefined;
let isBuilt = build(root, resolve(root, values.out ?? 'dist'));
// A plugin is compiled against the types that were just built, as its users will.
if (isBuilt && isWhole) isBuilt = pluginFolders().every((folder) => build(folder, join(folder, 'dist')));
process.exitCode = isBuilt ? 0 : 1;
