import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'vitest';
import { markersOf, realWorld, sourceCases } from '../../../testing/index.ts';
import { SimHost } from '../../../testing/sim-host-files.ts';
import { SimWorld } from '../../../testing/sim-world.ts';
import { fileSource } from './file-source.ts';

function simulated() {
  const sim = new SimWorld({ seed: 1 });
  const host = new SimHost(sim);
  let next = 1;
  return {
    definition: fileSource,
    options: { include: ['/var/log/*.log'], glob_minimum_cooldown_ms: 50 },
    world: { sim, clock: sim.clock, random: sim.random, files: host.view(), fileSystem: undefined as never },
    stateDirectory: '/var/lib/tail',
    resumes: true,
    async produce(count: number): Promise<void> {
      for (const marker of markersOf(next, count)) host.append('/var/log/app.log', `a line with ${marker} in it\n`);
      next += count;
    },
    async close(): Promise<void> {
      await sim.advance(0);
    },
  };
}

function real() {
  const folder = mkdtempSync(join(tmpdir(), 'spillway-tail-'));
  let next = 1;
  return {
    definition: fileSource,
    options: { include: [join(folder, '*.log')], glob_minimum_cooldown_ms: 20 },
    world: realWorld(),
    stateDirectory: join(folder, 'state'),
    resumes: true,
    async produce(count: number): Promise<void> {
      const text = markersOf(next, count).map((marker) => `a line with ${marker} in it\n`);
      appendFileSync(join(folder, 'app.log'), text.join(''));
      next += count;
    },
    async close(): Promise<void> {
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

describe('the file source, like every source', () => {
  for (const { name, run } of sourceCases(simulated)) it(name, run);
});

describe('the file source on real files', () => {
  for (const { name, run } of sourceCases(real)) it(name, run);
});
