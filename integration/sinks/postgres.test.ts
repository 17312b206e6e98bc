// A real PostgreSQL under all that can happen to it, and with its whole disk full. What it cannot do without is its
// write-ahead log: when that has no room the server panics, cannot recover, and ends, until somebody starts it again.
import { type ContainerRuntimeClient, getContainerRuntimeClient } from 'testcontainers';
import { expect, test } from 'vitest';
import type { StartedServer } from '../containers.ts';
import { needs } from '../requirements.ts';
import { postgres, type StartedPostgres, start } from './postgres.ts';
import { sinkFaultTests } from './sink-faults.ts';
import { recordFigure } from './sink-results.ts';
import { SinkRig } from './sink-rig.ts';

type Container = ReturnType<ContainerRuntimeClient['container']['getById']>;

const some = 500;
const patienceMs = 30_000;

sinkFaultTests(postgres);

/** Somebody else writes a lot, until the server has no room for what it must write before anything else, and ends. */
async function panic({ client, server }: StartedPostgres): Promise<void> {
  const container = await containerOf(server);
  const deadlineMs = performance.now() + patienceMs;
  while ((await container.inspect()).State.Running) {
    await client
      .run("SELECT pg_logical_emit_message(false, 'somebody', repeat('x', 4000000))", 'SELECT pg_switch_wal()')
      .catch(() => undefined);
    if (performance.now() > deadlineMs) throw new Error('the server goes on without room');
  }
  expect(await logOf(server)).toMatch(/PANIC: .*No space left on device/);
}

async function logOf({ container }: StartedServer): Promise<string> {
  const stream = await container.logs({ tail: 100 });
  return (await stream.toArray()).join('');
}

async function containerOf({ container }: StartedServer): Promise<Container> {
  return (await getContainerRuntimeClient()).container.getById(container.getId());
}

test('PostgreSQL, no room for its write-ahead log: it panics, and all that was accepted is there once, in order', {
  timeout: 120_000,
}, async (context) => {
  const reason = needs('linux', 'root', 'docker', 'postgres-image');
  if (reason !== undefined) return context.skip(reason);
  const started = await start('everything');
  await using rig = await SinkRig.start(started);
  await rig.accepts(some);
  await rig.delivers();
  await started.starvation?.begin();
  await panic(started);
  await rig.accepts(some);
  await rig.killPipeline();
  await rig.accepts(some);
  expect(await rig.backlog()).toBeGreaterThan(0);
  await started.starvation?.end();
  await (await containerOf(started.server)).start();
  const recoveryMs = await rig.delivers();
  await rig.accepts(some);
  expect(await rig.finishes(), rig.pipeline.log).toBe(0);
  expect(await rig.verdict()).toEqual({ missing: [], disorder: [], repeats: 0, invented: [] });
  expect(await rig.storedEvents()).toBe(0);
  const all = rig.load.accepted.length.toLocaleString('en-US');
  const what = `it panics and ends; 0 lost and 0 repeated of ${all}, all there`;
  const answer = `${what} ${(recoveryMs / 1_000).toFixed(1)} s after it was started again`;
  recordFigure(postgres, started.version, 'No room for its write-ahead log', answer);
});
