// A server that runs out of memory, for real: its container may have little more than it uses, something else in there
// takes the rest, and the kernel kills whoever has the most, which is the server.
//
// What is taken lies in the container's shared memory, as files: that cannot be given back, and counts for nobody, so
// that the program which writes it is not the one to be killed. With the server all of it is gone.
import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { getContainerRuntimeClient } from 'testcontainers';
import type { StartedServer } from './containers.ts';
import type { Fault } from './faults.ts';

const MiB = 1024 * 1024;
/** What the container may have beyond what it uses when the fault begins. */
const spareBytes = 16 * MiB;
/** What it may have when it is over: as good as no limit. */
const plentyBytes = 8192 * MiB;
const patienceMs = 30_000;
const blockBytes = 65_536;

const execute = promisify(execFile);

export async function outOfMemory({ container: started }: StartedServer): Promise<Fault> {
  const { container: containers } = await getContainerRuntimeClient();
  const id = started.getId();
  const container = containers.getById(id);
  const allow = async (byteLength: number): Promise<void> => {
    // Both are the same: nothing may be swapped out.
    await container.update({ Memory: byteLength, MemorySwap: byteLength });
  };
  return {
    async begin() {
      const { memory_stats: memory } = await container.stats({ stream: false, 'one-shot': true });
      const allowed = memory.usage + spareBytes;
      const since = Date.now();
      await allow(allowed);
      const blocks = Math.ceil(allowed / blockBytes);
      const fill = ['dd', 'if=/dev/zero', 'of=/dev/shm/filler', `bs=${blockBytes}`, `count=${blocks}`];
      const filler = await container.exec({ Cmd: fill });
      await filler.start({ Detach: true });
      await until('it has ended', async () => !(await container.inspect()).State.Running);
      // Said by the engine when it gets to it; what it says of the container itself may be older than this.
      await until('the kernel has killed something', () => hasKilled(id, since));
    },
    async end() {
      await allow(plentyBytes);
      await container.start();
    },
  };
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + patienceMs;
  while (!(await holds())) {
    if (performance.now() > deadlineMs) throw new Error(`out of memory: not so in time: ${what}`);
    await sleep(20);
  }
}

async function hasKilled(id: string, since: number): Promise<boolean> {
  const filters = [`container=${id}`, 'event=oom'].flatMap((filter) => ['--filter', filter]);
  const period = ['--since', String(since / 1_000), '--until', String(Date.now() / 1_000)];
  const { stdout } = await execute('docker', ['events', ...period, ...filters], { timeout: 10_000 });
  return stdout !== '';
}
