// The sink is away for the whole test: the buffer fills to its limit, clients are told to wait, memory stays flat, and
// nothing on disk passes the limit. Then the sink comes back, and everything drains, in order, once.
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { freePort } from './free-port.ts';
import { MoodyReceiver } from './moody-receiver.ts';
import { OtlpClient } from './otlp-client.ts';
import { SpillwayProcess } from './spillway-process.ts';

const MiB = 2 ** 20;
const maxBytes = 16 * MiB;
/** Requests that are refused before the sink comes back: long enough for whatever leaks to show. */
const refusedRequests = 400;
/** What the process may grow by between a full buffer and the end of the outage. */
const growthMax = 40 * MiB;
const timeoutMs = 5 * 60_000;

let folder = '';
const receiver = new MoodyReceiver();

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'spillway-pipeline-outage-'));
  await receiver.open();
});

afterEach(async () => {
  await receiver.close();
  rmSync(folder, { recursive: true, force: true });
});

function bytesOnDisk(directory: string): number {
  return readdirSync(directory).reduce((sum, name) => sum + statSync(join(directory, name)).size, 0);
}

function configOf(port: number): string {
  return `
data_dir: data
sources:
  in: { type: otlp, address: "127.0.0.1:${port}", max_wait_secs: 0.1 }
sinks:
  out:
    type: otlp
    inputs: [in]
    endpoint: ${receiver.url}
    buffer: { type: disk, max_size: ${maxBytes}, durability: sync, when_full: block }
    request: { retry_initial_backoff_secs: 0.05, retry_max_duration_secs: 0.2 }
`;
}

test('fills its buffer, tells clients to wait, stays small, and drains', { timeout: timeoutMs }, async () => {
  const [sourcePort, healthPort] = [await freePort(), await freePort()];
  const pipeline = new SpillwayProcess({ folder, healthPort, config: configOf(sourcePort) });
  await receiver.setMood('away');
  pipeline.start();
  await pipeline.until(({ sources }) => sources[0]?.address !== undefined);
  const url = (): string => `http://127.0.0.1:${sourcePort}`;
  const clients = ['one', 'two', 'three'].map(
    (name) => new OtlpClient({ name, url, eventsPerRequest: 50, padding: 1_000 }),
  );
  const running = clients.map((client) => client.run());
  const answered = (status: number): number =>
    clients.reduce((sum, { answers }) => sum + (answers.get(status) ?? 0), 0);
  await pipeline.until(() => answered(429) > 10);
  const buffer = join(folder, 'data', 'buffers', 'out');
  const fullBytes = pipeline.residentBytes();
  const status = await pipeline.until(() => answered(429) > refusedRequests);
  expect(bytesOnDisk(buffer)).toBeLessThanOrEqual(maxBytes);
  expect(status.buffers[0]?.usedBytes).toBeGreaterThan(maxBytes * 0.8);
  expect(pipeline.residentBytes() - fullBytes).toBeLessThan(growthMax);
  expect(status.sinks[0]).toMatchObject({ state: 'retrying' });
  for (const client of clients) client.stop();
  await Promise.all(running);
  expect([...new Set(clients.flatMap(({ answers }) => [...answers.keys()]))].sort()).toEqual([200, 429]);
  await receiver.setMood('taking');
  const drained = await pipeline.until(({ buffers }) => buffers[0]?.backlog.events === 0);
  expect(await pipeline.stop()).toBe(0);
  const accepted = clients.reduce((sum, { acceptedEvents }) => sum + acceptedEvents, 0);
  const { arrivals } = receiver;
  expect(arrivals.count).toBeGreaterThanOrEqual(accepted);
  // What got no 200 may have been taken all the same, but for the repeats there is no reason.
  expect([arrivals.repeats, arrivals.disorder]).toEqual([0, []]);
  expect(drained.sinks[0]?.delivered.events).toBe(arrivals.count);
  for (const { name, accepted: runs } of clients) {
    for (const { first } of runs) expect(arrivals.has(name, first), `${name} ${first}`).toBe(true);
  }
});
