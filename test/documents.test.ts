// What the documents show must be so: every example runs and prints what it says, links lead somewhere, and a
// test that a document names exists.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { loadSettings } from '../src/pipeline/config/load-settings.ts';
import { NodeHostFiles } from '../src/platform/node-host-files.ts';
import { repositoryFiles, root } from './tidy/source.ts';

const pages = repositoryFiles().filter(({ path }) => path.endsWith('.md'));
const folders: string[] = [];

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** The first fenced block of this language behind a heading. */
function block(page: string, heading: string, language: string): string {
  const section = page.slice(page.indexOf(`\n## ${heading}\n`));
  const found = new RegExp(`\`\`\`${language}\\n([^]*?)\`\`\``).exec(section);
  if (found === null) throw new Error(`there is no ${language} block behind "${heading}"`);
  return found[1] ?? '';
}

it.each([
  ['docs/options.md', 'Example'],
  ['docs/stage.md', 'From a source that can wait'],
  ['docs/stage.md', 'From a plain Observable'],
  ['docs/stage.md', 'In two halves'],
  ['docs/stage.md', 'Without a buffer'],
])('runs the example of %s: %s', (path, heading) => {
  const page = pages.find((candidate) => candidate.path === path)?.text ?? '';
  mkdirSync(join(root, '.cache'), { recursive: true }); // Below the repository, so that it finds the package.
  const folder = mkdtempSync(join(root, '.cache/readme-'));
  folders.push(folder);
  writeFileSync(join(folder, 'example.ts'), block(page, heading, 'ts'));
  const env = { ...process.env, NO_COLOR: '1', FORCE_COLOR: undefined };
  const program = ['--conditions=spillway-source', 'example.ts'];
  const printed = execFileSync(process.execPath, program, { cwd: folder, env, encoding: 'utf8', timeout: 120_000 });
  expect(printed).toBe(block(page, heading, 'text'));
});

it('shows in the README the code and the figures of docs/opentelemetry.md', () => {
  const text = (path: string): string => pages.find((candidate) => candidate.path === path)?.text ?? '';
  const [readme, page] = [text('README.md'), text('docs/opentelemetry.md')];
  expect(block(readme, 'With the OpenTelemetry SDK', 'ts')).toBe(/```ts\n([\s\S]*?)```/.exec(page)?.[1]);
  const rows = [...readme.matchAll(/^\| ([^|]+ for \d+ s) \| ([\d,]+) of ([\d,]+) \| 0 \|$/gm)];
  expect(rows.length).toBe(4);
  for (const [, fault = '', lost, items] of rows)
    expect(page).toMatch(new RegExp(`${fault} \\| ${items} \\| ${lost} .* 0 \\|`));
});

it('shows a config in the README that is valid', async () => {
  const page = pages.find((candidate) => candidate.path === 'README.md')?.text ?? '';
  const folder = mkdtempSync(join(tmpdir(), 'spillway-readme-'));
  folders.push(folder);
  writeFileSync(join(folder, 'token'), 'secret\n');
  const file = join(folder, 'pipeline.yaml');
  writeFileSync(file, block(page, 'A pipeline', 'yaml'));
  const { settings, warnings } = await loadSettings({ file, env: {}, files: new NodeHostFiles() });
  expect(settings.sinks.map(({ inputs, definition }) => [inputs, definition.type])).toEqual([
    [['apps', 'syslog'], 'otlp'],
  ]);
  expect(warnings).toEqual([]);
});

describe('documents', () => {
  it('link to what exists', () => {
    const broken = pages.flatMap(({ path, text }) =>
      [...text.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)]
        .map(([, target = '']) => target)
        .filter((target) => !/^[a-z]+:/.test(target) && !existsSync(join(root, dirname(path), target)))
        .map((target) => `${path}: ${target}`),
    );
    expect(broken).toEqual([]);
  });

  it('name tests that exist', () => {
    const missing = pages
      .filter(({ path }) => path === 'docs/guarantees.md' || path.startsWith('docs/decisions/'))
      .flatMap(({ path, text }) =>
        [...text.matchAll(/`((?:src|test|integration|examples)\/[\w./-]+)`/g)]
          .map(([, target = '']) => target)
          .filter((target) => !existsSync(join(root, target)))
          .map((target) => `${path}: ${target}`),
      );
    expect(missing).toEqual([]);
  });
});
