// Zero code: an application that knows the OpenTelemetry API only, started with `--import .../register`, with the SDK
// of each major version. Its spans are on disk when it ends, and the exporter's own requests leave no spans.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TelemetryCollector } from './telemetry-collector.ts';
import { installedLine } from './telemetry-process.ts';

// What an instrumentation of undici does: a span for each request, in the context that the request was made in.
const application = `
import { subscribe } from 'node:diagnostics_channel';
import { trace } from '@opentelemetry/api';
const tracer = trace.getTracer('application');
subscribe('undici:request:create', () => tracer.startSpan('POST').end());
const [, , first, how] = process.argv;
for (let number = Number(first); number < Number(first) + 100; number++) tracer.startSpan('span ' + number).end();
if (how === 'lives on') setInterval(() => undefined, 1000);
process.stdout.write('done');
`;

let collector: TelemetryCollector;
let path: string;

beforeEach(async () => {
  collector = await TelemetryCollector.open();
  path = mkdtempSync(join(tmpdir(), 'spillway-register-'));
});

afterEach(async () => {
  await collector.close();
  rmSync(path, { recursive: true, force: true });
});

describe.each([2, 3] as const)('with the SDK %i', (major) => {
  it('keeps and delivers the spans of an application without a line of code', { timeout: 240_000 }, async (context) => {
    const line = await installedLine(major);
    if (line === undefined) context.skip('the package registry is out of reach');
    if (line === undefined) return;
    const program = join(dirname(line.packages), `application-${process.pid}.mjs`);
    writeFileSync(program, application);
    const run = async (first: number, how: string, signal?: 'SIGTERM' | 'SIGKILL'): Promise<unknown> => {
      const env = {
        PATH: process.env['PATH'],
        SPILLWAY_BUFFER_PATH: path,
        OTEL_EXPORTER_OTLP_ENDPOINT: `${collector.url}/spillway`,
        OTEL_METRICS_EXPORTER: 'none',
      };
      const args = ['--disable-warning=ExperimentalWarning', '--import', `${line.source}/sdk/register.ts`];
      const child = spawn(process.execPath, [...args, program, String(first), how], { env, stdio: 'pipe' });
      let errors = '';
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        errors += text;
      });
      const closed = once(child, 'close');
      if (signal !== undefined) {
        await once(child.stdout, 'data');
        child.kill(signal);
      }
      const [code, endedBy] = await closed;
      return { code, endedBy, errors };
    };
    try {
      expect(await run(0, 'ends')).toEqual({ code: 0, endedBy: null, errors: '' });
      await collector.setMood('away');
      const startMs = performance.now();
      expect(await run(100, 'ends')).toEqual({ code: 0, endedBy: null, errors: '' });
      expect(performance.now() - startMs).toBeLessThan(10_000);
      expect(await run(200, 'lives on', 'SIGTERM')).toEqual({ code: null, endedBy: 'SIGTERM', errors: '' });
      await collector.setMood('taking');
      expect(await run(300, 'ends')).toEqual({ code: 0, endedBy: null, errors: '' });
    } finally {
      rmSync(program, { force: true });
      rmSync(line.source, { recursive: true, force: true });
    }
    const taken = [...collector.taken('spillway', 'traces')].sort((a, b) => a - b);
    expect(taken).toEqual(Array.from({ length: 400 }, (_, number) => number));
  });
});
