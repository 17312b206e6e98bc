// docs/format.md shows bytes. They are the bytes that the code writes, or this test fails and shows what to put there.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { decodeLedgerSlot, encodeLedgerSlot, type LedgerContent } from '../src/engine/ledger-slot.ts';
import { encodeSegmentHeader, type SegmentHeader } from '../src/engine/segment-header.ts';
import { SegmentWalk } from '../src/engine/segment-walk.ts';
import { frameOf, headerRoom, MemoryFile, segmentOf, walkAll } from './segment-bytes.ts';
import { root } from './tidy/source.ts';

const page = readFileSync(join(root, 'docs/format.md'), 'utf8');

/** The fenced block behind the HTML comment `<!-- example: name -->`. */
function exampleIn(name: string): string {
  const found = new RegExp(`<!-- example: ${name} -->\\n\`\`\`[a-z]*\\n([^\`]*)\`\`\``).exec(page);
  if (found === null) throw new Error(`docs/format.md has no example ${name}`);
  return (found[1] ?? '').trimEnd();
}

/** Sixteen bytes a line, as `hexdump` and `xxd -g1` group them. */
function hexLines(bytes: Uint8Array, from = 0): string {
  const lines: string[] = [];
  for (let offset = 0; offset < bytes.length; offset += 16) {
    const line = bytes.subarray(offset, offset + 16);
    const digits = Array.from(line, (byte) => byte.toString(16).padStart(2, '0')).join(' ');
    lines.push(`${(from + offset).toString(16).padStart(8, '0')}  ${digits}`);
  }
  return lines.join('\n');
}

const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const header: SegmentHeader = {
  formatVersion: 1,
  features: 0,
  uuid: '0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0',
  segmentNumber: 7,
  epoch: 2,
  salt: 0xc0ff_ee11,
  firstId: 1001,
  createdAt: 1_700_000_000_000,
  alignment: 8,
};
const frame = frameOf(header.salt, {
  firstId: 1001,
  records: [
    { payload: text('hello'), events: 1, metadata: 0 },
    { payload: text('spillway'), events: 3, metadata: 258 },
  ],
  appendedAt: 1_700_000_000_123,
  durableId: 1000,
});
const ledger: LedgerContent = {
  uuid: header.uuid,
  formatVersion: 1,
  epoch: 2,
  clean: false,
  writer: { segment: 7, offset: 4184, nextId: 1005, newestSegment: 7 },
  cursors: [{ name: 'default', nextId: 1002, segment: 7, offset: 4096, payloadBytes: 25_005 }],
  totals: {
    appended: { events: 1004, bytes: 25_013 },
    acknowledged: { events: 1001, bytes: 25_005 },
    removed: {
      rejected: { events: 0, bytes: 0 },
      dropped_oldest: { events: 0, bytes: 0 },
      dropped_newest: { events: 0, bytes: 0 },
      disk_full: { events: 0, bytes: 0 },
      unconfirmed: { events: 0, bytes: 0 },
    },
    damaged: { events: 0, bytes: 0 },
  },
  unconfirmed: [],
};

describe('docs/format.md', () => {
  it('shows the segment header that is written', () => {
    expect(exampleIn('segment header')).toBe(hexLines(encodeSegmentHeader(header).subarray(0, 68)));
  });

  it('shows the frame that is written, and that a walk reads', async () => {
    expect(exampleIn('frame')).toBe(hexLines(frame, headerRoom));
    const file = new MemoryFile(segmentOf(frame));
    const end = file.bytes.length;
    const walk = new SegmentWalk({
      file,
      marker: header.salt,
      alignment: 8,
      from: headerRoom,
      end,
      unreadable: 'reject',
    });
    expect(await walkAll(walk)).toEqual([
      { frame: 4096, firstId: 1001, nextId: 1005, byteLength: frame.length },
      { end: 4096 + frame.length, tail: 'none' },
    ]);
    expect(ledger.writer.offset).toBe(end);
  });

  it('shows the ledger slot that is written', () => {
    const slot = encodeLedgerSlot(42, ledger);
    const length = new DataView(slot.buffer).getUint32(8, true);
    expect(exampleIn('ledger head')).toBe(hexLines(slot.subarray(0, 24)));
    const json = new TextDecoder().decode(slot.subarray(24, 24 + length));
    expect(JSON.stringify(JSON.parse(exampleIn('ledger JSON')))).toBe(json);
    expect(decodeLedgerSlot(slot)).toEqual({ kind: 'valid', generation: 42, content: ledger });
  });

  it('names every key of the ledger', () => {
    const keys = (value: unknown): string[] =>
      typeof value !== 'object' || value === null
        ? []
        : Object.entries(value).flatMap(([key, inner]) => [...(Array.isArray(value) ? [] : [key]), ...keys(inner)]);
    for (const key of keys(JSON.parse(exampleIn('ledger JSON')))) {
      expect(page, `a row for ${key}`).toMatch(new RegExp(`^\\| \`(?:[a-z[\\].]*\\.)?${key}\` \\|`, 'm'));
    }
  });
});
