// `spillway run` and those who want it to end, beside a receiver that takes connections and never answers.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CliRig } from '../../test/cli-rig.ts';
import { readPrometheusText } from '../../test/prometheus-text.ts';

let cli: CliRig;
let receiver: Server;
let sockets: Socket[];
let all: Socket[];

beforeEach(async () => {
  cli = new CliRig();
  sockets = [];
  all = [];
  receiver = createServer((socket) => {
    sockets.push(socket);
    all.push(socket);
    socket.on('error', () => undefined);
  });
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
});

afterEach(async () => {
  for (const socket of all) socket.destroy();
  await new Promise((resolve) => receiver.close(resolve));
  cli.remove();
});

/** Resolves when somebody has connected. */
async function asked(): Promise<void> {
  if (sockets.length === 0) await new Promise((resolve) => receiver.once('connection', resolve));
  sockets.splice(0);
}

function port(): number {
  return (receiver.address() as { port: number }).port;
}

function config(keys: { readonly top?: string; readonly count?: number } = {}): string {
  const { top = '', count } = keys;
  const text = `
data_dir: data
${top}
sources:
  made: { type: generate, rate: 1000${count === undefined ? '' : `, count: ${count}`} }
sinks:
  out:
    type: otlp
    inputs: [made]
    endpoint: http://127.0.0.1:${port()}
`;
  writeFileSync(cli.path('pipeline.yaml'), text);
  return 'pipeline.yaml';
}

describe('run', () => {
  it('ends with 0 when asked once, and with the signal’s code when asked twice', async () => {
    const once = cli.run('run', config({ top: 'shutdown_timeout_secs: 0.1' }));
    await cli.logged(/the pipeline runs/);
    cli.signal('SIGTERM');
    expect(await once).toBe(0);
    const twice = cli.run('run', config());
    await cli.logged(/the pipeline runs/);
    cli.signal('SIGINT');
    cli.signal('SIGTERM');
    cli.signal('SIGTERM');
    expect(await twice).toBe(143);
    expect(cli.err.match(/asked/g)?.length).toBe(2); // Who asks a third time is told nothing new.
  });

  it('can be ended while it starts, once and twice', async () => {
    const top = 'healthchecks: { require_healthy: true }';
    for (const [signals, code] of [
      [['SIGTERM'], 0],
      [['SIGTERM', 'SIGINT'], 130],
    ] as const) {
      const ended = cli.run('run', config({ top }));
      await asked();
      for (const signal of signals) cli.signal(signal);
      expect(await ended).toBe(code);
      expect(cli.err).not.toContain('error:');
    }
  });

  it('ends a drain when asked', async () => {
    const drain = cli.run('run', config({ count: 10, top: 'shutdown_timeout_secs: 0.1' }));
    await cli.logged(/delivering what is left/);
    cli.signal('SIGTERM');
    expect(await drain).toBe(0);
    expect(cli.err).toMatch(/"left":\{"out":10\},"msg":"the pipeline has stopped"/);
  });

  it('does not call --drain done when it is stopped before: what is left must not be thrown away', async () => {
    const made = cli.run('run', config({ count: 10, top: 'shutdown_timeout_secs: 0.1' }));
    await cli.logged(/delivering what is left/);
    cli.signal('SIGTERM');
    await made;
    const drain = cli.run('run', 'pipeline.yaml', '--drain');
    await cli.logged(/delivering what is left/);
    cli.signal('SIGINT');
    expect(await drain).toBe(130);
    expect(cli.err).not.toContain('error:');
  });

  it('answers with its metrics, and says where else they go', async () => {
    const telemetry = 'telemetry: { otlp: { endpoint: "http://127.0.0.1:9" } }';
    const top = `health: { address: "127.0.0.1:0" }\n${telemetry}\nshutdown_timeout_secs: 0.1`;
    const ended = cli.run('run', config({ top }));
    await cli.logged(/the pipeline runs/);
    const address = /"address":"(http:[^"]+)"/.exec(cli.err)?.[1] ?? '';
    const families = readPrometheusText(await (await fetch(`${address}/metrics`)).text());
    expect(families.get('spillway_source_state')?.samples).toContainEqual({
      name: 'spillway_source_state',
      labels: { otel_component_name: 'made', otel_component_type: 'generate_source', spillway_state: 'running' },
      value: 1,
    });
    expect(families.has('spillway_cursor_oldest_age_seconds')).toBe(true);
    expect(cli.err).toMatch(/metrics are (?:not )?exported by OTLP/);
    cli.signal('SIGTERM');
    expect(await ended).toBe(0);
  });

  it('refuses what validate refuses in the same words, before anything is there', async () => {
    const text = readFileSync(cli.path(config({ top: 'health: { address: "127.0.0.1:4318" }' })), 'utf8');
    writeFileSync(cli.path('pipeline.yaml'), text.replace('type: generate, rate: 1000', 'type: otlp'));
    expect(await cli.run('validate', 'pipeline.yaml')).toBe(2);
    const told = cli.err;
    expect(told).toContain('pipeline.yaml:5:3  sources.made.address: health listens there, too');
    expect(await cli.run('run', 'pipeline.yaml')).toBe(2);
    expect(cli.err).toBe(told);
    expect(readdirSync(cli.folder)).toEqual(['pipeline.yaml']);
  });

  it('logs once what validate warns of', async () => {
    const text = readFileSync(cli.path(config({ count: 1 })), 'utf8');
    writeFileSync(cli.path('pipeline.yaml'), text.replace('    endpoint:', '    logs_endpoint:'));
    expect(await cli.run('validate', 'pipeline.yaml')).toBe(0);
    const sentence =
      'a sink of type "otlp" takes logs only, and rejects what else comes: traces and metrics from "made"';
    expect(cli.out).toMatch(/^valid[\s\S]*warning:\n.*pipeline.yaml:9:13 {2}sinks\.out\.inputs: /);
    expect(cli.out).toContain(sentence);
    expect(await cli.run('validate', 'pipeline.yaml', '--json')).toBe(0);
    expect(cli.json()).toMatchObject({ valid: true, warnings: [{ line: 9, path: 'sinks.out.inputs' }] });
    const ended = cli.run('run', 'pipeline.yaml');
    await cli.logged(/delivering what is left/);
    cli.signal('SIGTERM');
    cli.signal('SIGTERM');
    await ended;
    const warned = cli.err.split('\n').filter((line) => line.includes('rejects what else comes'));
    expect(warned.map((line) => JSON.parse(line) as unknown)).toMatchObject([
      { level: 'warn', at: 'sinks.out.inputs', msg: expect.stringContaining(sentence) },
    ]);
  });

  it('says whose fault it is when the health address cannot be had', async () => {
    expect(await cli.run('run', config({ top: `health: { address: "127.0.0.1:${port()}" }` }))).toBe(3);
    expect(cli.err).toContain(`Cannot answer health on 127.0.0.1:${port()}`);
    expect(cli.err).toContain('EADDRINUSE');
  });
});
