// What docs/opentelemetry.md shows must be so: its lines of code run, and its tables name every option and variable.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { root } from './tidy/source.ts';

const page = readFileSync(join(root, 'docs/opentelemetry.md'), 'utf8');

function sourceOf(path: string): string {
  return readFileSync(join(root, 'src/sdk', path), 'utf8');
}

it('has a handful of lines of code that run', () => {
  const [, code = ''] = /```ts\n(.*?)```/s.exec(page) ?? [];
  expect(code.split('\n').filter((line) => line !== '')).toHaveLength(5);
  mkdirSync(join(root, '.cache'), { recursive: true }); // Below the repository, so that it finds the package.
  const folder = mkdtempSync(join(root, '.cache/opentelemetry-example-'));
  try {
    const path = '/var/lib/shop/telemetry';
    expect(code).toContain(path);
    const use = `
      provider.getTracer('example').startSpan('one').end();
      await provider.forceFlush();
      const { accepted, failed } = exporter.stats();
      console.log({ accepted, failed });
      process.exit();`;
    writeFileSync(join(folder, 'example.ts'), code.replace(path, join(folder, 'telemetry')) + use);
    const nowhere = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1', OTEL_EXPORTER_OTLP_TIMEOUT: '200' };
    const env = { PATH: process.env['PATH'], ...nowhere };
    const options = { cwd: folder, env, encoding: 'utf8', timeout: 120_000 } as const;
    const printed = execFileSync(process.execPath, ['--conditions=spillway-source', 'example.ts'], options);
    expect(printed).toBe('{ accepted: 1, failed: 0 }\n');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

it('names every option and every variable of ours', () => {
  const options = [...sourceOf('exporter-options.ts').matchAll(/^ {2}readonly (\w+)\??: .*;$/gm)].map(
    ([, name]) => name,
  );
  const publicOptions = options.slice(0, options.indexOf('signal'));
  expect(publicOptions).toEqual(expect.arrayContaining(['url', 'headers', 'path', 'whenFull', 'concurrencyLimit']));
  for (const name of publicOptions) expect(page).toMatch(new RegExp(`\`(?:buffer\\.)?${name}\``));
  const found = sourceOf('registration.ts').matchAll(/'((?:SPILLWAY_BUFFER|OTEL)_[A-Z_]+)'/g);
  const variables = [...found].map(([, name]) => name);
  expect(variables.length).toBeGreaterThan(6);
  for (const name of new Set(variables)) if (!name?.endsWith('_TIMEOUT')) expect(page).toContain(`\`${name}\``);
});
