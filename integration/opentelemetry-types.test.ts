// The exporters fit the interfaces of the SDK by shape, for the compiler too, in each major version.
import { execFile } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { root } from '../test/tidy/source.ts';
import { installedLine } from './telemetry-process.ts';

const program = (source: string): string => `
import type { LogRecordExporter } from '@opentelemetry/sdk-logs';
import type { PushMetricExporter } from '@opentelemetry/sdk-metrics';
import type { SpanExporter } from '@opentelemetry/sdk-trace';
import type { IExporterTransport } from '@opentelemetry/otlp-exporter-base';
import * as ours from '${source}/sdk/index.ts';
const buffer = ours.createTelemetryBuffer({ path: '/data' });
export const spans: SpanExporter = new ours.BufferedSpanExporter({ buffer });
export const logs: LogRecordExporter = new ours.BufferedLogRecordExporter({ buffer });
export const metrics: PushMetricExporter = new ours.BufferedMetricExporter({ buffer });
export const transport: IExporterTransport = ours.diskTransport({ signal: 'traces', buffer: { path: '/data' } });
`;

it.for([2, 3] as const)('with the SDK %i', { timeout: 240_000 }, async (major, context: SkippedBy) => {
  const line = await installedLine(major);
  if (line === undefined) context.skip('the package registry is out of reach');
  if (line === undefined) return;
  const folder = dirname(line.packages);
  const [file, project] = [join(folder, `types-${process.pid}.ts`), join(folder, `tsconfig-${process.pid}.json`)];
  const compilerOptions = {
    ...{ target: 'ES2024', lib: ['ES2024', 'ESNext.Disposable'], module: 'NodeNext', strict: true, noEmit: true },
    ...{ exactOptionalPropertyTypes: true, allowImportingTsExtensions: true, skipLibCheck: true, types: ['node'] },
    typeRoots: [join(root, 'node_modules/@types')],
  };
  try {
    writeFileSync(file, program(line.source));
    writeFileSync(project, JSON.stringify({ compilerOptions, files: [file] }));
    const compiler = join(root, 'node_modules/typescript/bin/tsc');
    const run = promisify(execFile)(process.execPath, [compiler, '--project', project], { cwd: folder });
    const { stdout } = await run.catch((cause: { readonly stdout: string }) => cause);
    expect(stdout).toBe('');
  } finally {
    for (const path of [file, project, line.source]) rmSync(path, { recursive: true, force: true });
  }
});

interface SkippedBy {
  readonly skip: (reason: string) => void;
}
