// Directories that earlier builds have left must open and deliver what is written down beside them, for ever.

import { chmodSync, cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { DiskBuffer } from '../../src/engine/disk-buffer.ts';
import { BufferRig, bufferPath, listenToLosses, textOf } from '../buffer-rig.ts';
import type { GoldenContents, GoldenRecord } from './golden-contents.ts';

const fixtures = join(import.meta.dirname, 'fixtures');

describe.each(readdirSync(fixtures))('%s', (version) => {
  const directory = join(fixtures, version, 'buffer');
  const contents = JSON.parse(readFileSync(join(fixtures, version, 'contents.json'), 'utf8')) as GoldenContents;
  const { uuid, epoch, nextId, records } = contents;

  it('delivers what is written down, to every cursor from where it stood, and takes more', async () => {
    const rig = new BufferRig();
    rig.disk.plantDirectory(bufferPath);
    for (const name of readdirSync(directory)) rig.plant(name, Uint8Array.from(readFileSync(join(directory, name))));
    const buffer = await rig.open({ cursors: ['default', 'second'] });
    const losses = listenToLosses(buffer);
    expect(buffer.stats()).toMatchObject({ uuid, epoch });
    const positions = [...contents.cursors, ['new', 1] as const];
    for (const [name, from] of positions) {
      const seen: GoldenRecord[] = [];
      const cursor = buffer.cursor(name);
      expect([name, cursor.nextId]).toEqual([name, from]);
      while (cursor.nextId < nextId) {
        const delivery = await rig.read(cursor);
        for (const { id, events, metadata, payload, key } of delivery.records) {
          seen.push({ id, events, metadata, text: textOf(payload), key });
        }
        delivery.ack();
      }
      expect(seen).toEqual(records.filter(({ id }) => id >= from));
    }
    expect(await rig.append(buffer, 'more')).toEqual([nextId]);
    expect(losses).toEqual([]);
    buffer.recount();
    await rig.close(buffer);
  });

  it('opens on the real disk', async () => {
    const path = mkdtempSync(join(tmpdir(), 'spillway-golden-'));
    try {
      cpSync(directory, path, { recursive: true });
      for (const name of readdirSync(path)) chmodSync(join(path, name), 0o600);
      await using buffer = await DiskBuffer.open({ path, maxBytes: 1_048_576, cursors: ['default', 'second'] });
      const [name, from] = contents.cursors[0] ?? ['default', 1];
      const cursor = buffer.cursor(name);
      const ids: number[] = [];
      while (cursor.nextId < nextId) {
        const delivery = await cursor.read();
        ids.push(...(delivery?.records.map(({ id }) => id) ?? []));
        delivery?.ack();
      }
      expect(ids).toEqual(records.map(({ id }) => id).filter((id) => id >= from));
    } finally {
      rmSync(path, { recursive: true, force: true });
    }
  });
});
