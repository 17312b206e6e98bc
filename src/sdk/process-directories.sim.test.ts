// Who may take and remove a directory, when processes meet over it at every moment.

import { describe, expect, it } from 'vitest';
import { upTo } from '../../test/exporter-rig.ts';
import { DiskBuffer } from '../engine/disk-buffer.ts';
import { silentLog } from '../pipeline/contract/log.ts';
import { NodeHostFiles } from '../platform/node-host-files.ts';
import { SimDisk, SimWorld } from '../testing/index.ts';
import { ProcessDirectories } from './process-directories.ts';

const path = '/data/telemetry';
const payload = Uint8Array.of(1, 2, 3);

class Meeting {
  readonly world: SimWorld;
  readonly disk: SimDisk;

  constructor(seed: number = 1) {
    this.world = new SimWorld({ seed });
    this.disk = new SimDisk(this.world);
  }

  /** What a process of the application has of the directories, each with a disk of its own eyes. */
  process(): ProcessDirectories {
    const { clock, random, fileSystem } = this.disk.start();
    const open = (directory: string): Promise<DiskBuffer> =>
      DiskBuffer.open({ path: directory, lockTimeoutMs: 0, closeTimeoutMs: 0, clock, random, fileSystem });
    const world = { clock, random, fileSystem, files: new NodeHostFiles() };
    return new ProcessDirectories({ path, signal: 'traces', open, world, log: silentLog });
  }

  /** A directory that was used, drained and closed. */
  async drained(directories: ProcessDirectories, records: number = 3): Promise<string> {
    const { directory, buffer } = await this.world.run(directories.claim());
    for (let record = 0; record < records; record++) await this.world.run(buffer.append(payload));
    if (records > 0) (await this.world.run(buffer.cursor('default').read()))?.ack();
    await this.world.run(buffer.close());
    return directory;
  }

  get paths(): string[] {
    return this.disk.paths().filter((found) => found.startsWith(`${path}/`));
  }
}

describe('a directory', () => {
  it.each([0, 3])('goes with everything in it when %i records were delivered', async (records) => {
    const meeting = new Meeting();
    const one = meeting.process();
    const directory = await meeting.drained(one, records);
    expect(meeting.paths.length).toBeGreaterThan(3);
    expect(await meeting.world.run(one.remove(directory))).toBe('removed');
    expect(meeting.paths).toEqual([]);
    expect(await meeting.world.run(one.remove(directory))).toBe('taken'); // There is nothing.
  });

  it('stays while something in it is to be delivered', async () => {
    const meeting = new Meeting();
    const [one, two] = [meeting.process(), meeting.process()];
    const { directory, buffer } = await meeting.world.run(one.claim());
    await meeting.world.run(buffer.append(payload));
    await meeting.world.run(buffer.close());
    const before = meeting.paths;
    expect(await meeting.world.run(two.remove(directory))).toBe('taken');
    expect(meeting.paths).toEqual(before);
  });

  it('stays when somebody has taken it, before anything is in it', async () => {
    const meeting = new Meeting();
    const [one, two] = [meeting.process(), meeting.process()];
    const directory = await meeting.drained(one);
    const held = await meeting.world.run(two.claim());
    expect(held.directory).toBe(directory);
    const before = meeting.paths;
    expect(await meeting.world.run(one.remove(directory))).toBe('taken');
    expect(meeting.paths).toEqual(before);
  });

  it('stays with what is not ours', async () => {
    const meeting = new Meeting();
    const one = meeting.process();
    const directory = await meeting.drained(one);
    meeting.disk.plantFile(`${directory}/notes.txt`, payload);
    const before = meeting.paths;
    expect(await meeting.world.run(one.remove(directory))).toBe('kept');
    expect(meeting.paths).toEqual(before);
  });

  it.each(upTo(60))('is never removed under somebody who moves in meanwhile, moment %i', async (moment) => {
    const meeting = new Meeting(moment);
    const [one, two] = [meeting.process(), meeting.process()];
    const directory = await meeting.drained(one);
    const removing = one.remove(directory);
    await meeting.world.advance(moment * 0.15);
    const held = await meeting.world.run(two.claim());
    const stored = await meeting.world.run(held.buffer.append(payload));
    expect(stored.status).toBe('stored');
    await meeting.world.run(removing);
    meeting.disk.powerCut('none');
    const later = await meeting.world.run(meeting.process().claim());
    expect(later.directory).toBe(held.directory);
    const delivery = await meeting.world.run(later.buffer.cursor('default').read());
    expect(delivery?.records.at(-1)?.payload).toEqual(payload);
  });

  // A removal has eight operations that change the disk.
  it.each(upTo(8))('can be used again after a crash in the middle of its removal, operation %i', async (operation) => {
    const meeting = new Meeting(operation);
    const directory = await meeting.drained(meeting.process());
    const remover = meeting.process();
    const crashed = meeting.disk.crashAfterOperation(operation);
    void remover.remove(directory);
    await meeting.world.run(crashed);
    meeting.disk.powerCut(operation % 2 === 0 ? 'random' : 'all');
    const { buffer } = await meeting.world.run(meeting.process().claim());
    expect(await meeting.world.run(buffer.append(payload))).toMatchObject({ status: 'stored' });
    expect(buffer.stats().totals.damaged.events).toBe(0);
  });
});
