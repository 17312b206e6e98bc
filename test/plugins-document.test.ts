// The plugin that docs/plugins.md shows is written to a folder with the config that uses it, and run.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { root } from './tidy/source.ts';

const page = readFileSync(join(root, 'docs/plugins.md'), 'utf8');
let folder = '';

afterEach(() => rmSync(folder, { recursive: true, force: true }));

function block(language: string): string {
  const section = page.slice(page.indexOf('\n## A sink of your own\n'));
  return new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``).exec(section)?.[1] ?? '';
}

it('runs, and leaves what the page says', () => {
  mkdirSync(join(root, '.cache'), { recursive: true }); // Below the repository, so that it finds the package.
  folder = mkdtempSync(join(root, '.cache/plugin-'));
  writeFileSync(join(folder, 'ids-sink.ts'), block('ts'));
  writeFileSync(join(folder, 'pipeline.yaml'), block('yaml'));
  const program = join(root, 'src/cli/main.ts');
  const spillway = (...args: readonly string[]): string =>
    execFileSync(process.execPath, ['--conditions=spillway-source', program, ...args], {
      cwd: root,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  expect(spillway('validate', join(folder, 'pipeline.yaml'))).toContain('1 source, 1 buffer, 1 sink');
  spillway('run', join(folder, 'pipeline.yaml'));
  expect(readFileSync(join(folder, 'ids.txt'), 'utf8')).toBe(block('text'));
});
