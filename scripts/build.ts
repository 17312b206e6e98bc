// Turns src/ into dist/ as it is published: npm run build [-- --out folder]
// The folder is emptied first: a file left over from an older build would be packed and could still be imported.
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

const root = dirname(import.meta.dirname);
const { values } = parseArgs({ options: { out: { type: 'string', default: 'dist' } } });
const out = resolve(root, values.out);

rmSync(out, { recursive: true, force: true });
const compiler = join(root, 'node_modules/typescript/bin/tsc');
const built = spawnSync(process.execPath, [compiler, '--project', 'tsconfig.build.json', '--outDir', out], {
  cwd: root,
  stdio: 'inherit',
});
process.exitCode = built.status ?? 1;
