import { describe, expect, it } from 'vitest';
import { byScale } from '../../test/sweep.ts';
import { checksumPortable } from '../base/checksum.ts';
import {
  cursorNameLengthMax,
  cursorsMax,
  decodeLedgerSlot,
  encodeLedgerSlot,
  type LedgerContent,
  ledgerJsonBytesMax,
  ledgerMagic,
  ledgerSlotBytes,
  unconfirmedRangesMax,
} from './ledger-slot.ts';

const largest = Number.MAX_SAFE_INTEGER;
const amount = (seed: number): { events: number; bytes: number } => ({ events: seed, bytes: 100 * seed });
const content: LedgerContent = {
  uuid: '0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0',
  formatVersion: 1,
  epoch: 4,
  clean: false,
  writer: { segment: 12, offset: 40_960, nextId: 7001, newestSegment: 13 },
  cursors: [
    { name: 'default', nextId: 6001, segment: 11, offset: 4096, payloadBytes: 500_000 },
    { name: 'archive.s3-eu_1', nextId: 1, segment: 9, offset: 4096, payloadBytes: 0 },
  ],
  totals: {
    appended: amount(7000),
    acknowledged: amount(6000),
    removed: {
      rejected: amount(1),
      dropped_oldest: amount(2),
      dropped_newest: amount(3),
      disk_full: amount(4),
      unconfirmed: amount(5),
    },
    damaged: amount(6),
  },
  unconfirmed: [
    { from: 5000, to: 5010 },
    { from: 6500, to: 6600 },
  ],
};

/** The fullest ledger that can be. */
const fullest: LedgerContent = {
  uuid: 'ffffffff-ffff-ffff-ffff-ffffffffffff',
  formatVersion: 1,
  epoch: 2 ** 32 - 1,
  clean: false,
  writer: { segment: largest, offset: largest, nextId: largest, newestSegment: largest },
  cursors: Array.from({ length: cursorsMax }, (_, place) => ({
    name: String(place).padStart(cursorNameLengthMax, 'x'),
    nextId: largest,
    segment: largest,
    offset: largest,
    payloadBytes: largest,
  })),
  totals: {
    appended: { events: largest, bytes: largest },
    acknowledged: { events: largest, bytes: largest },
    removed: {
      rejected: { events: largest, bytes: largest },
      dropped_oldest: { events: largest, bytes: largest },
      dropped_newest: { events: largest, bytes: largest },
      disk_full: { events: largest, bytes: largest },
      unconfirmed: { events: largest, bytes: largest },
    },
    damaged: { events: largest, bytes: largest },
  },
  unconfirmed: Array.from({ length: unconfirmedRangesMax }, () => ({ from: largest, to: largest })),
};

const slot = encodeLedgerSlot(41, content);
const lengthOf = (bytes: Uint8Array): number => new DataView(bytes.buffer).getUint32(8, true);
const jsonOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes.subarray(24, 24 + lengthOf(bytes)));

/** A slot made by hand: whatever stands in it, its checksum holds. */
function slotOf(json: string | Uint8Array, generation = 41n, byteLength = ledgerSlotBytes): Uint8Array {
  const text = typeof json === 'string' ? new TextEncoder().encode(json) : json;
  const bytes = new Uint8Array(byteLength);
  const view = new DataView(bytes.buffer);
  bytes.set(text, 24);
  view.setUint32(0, ledgerMagic, true);
  view.setUint32(8, text.length, true);
  view.setBigUint64(16, generation, true);
  view.setUint32(4, checksumPortable(bytes.subarray(8, 24 + text.length)), true);
  return bytes;
}

type Json = { [key: string]: unknown };
const parsed = (): Json => JSON.parse(jsonOf(slot)) as Json;

/** Every place in the JSON, as a path of keys. */
function placesIn(value: unknown, path: readonly string[] = []): string[][] {
  if (typeof value !== 'object' || value === null) return [[...path]];
  const inner = Object.entries(value).flatMap(([key, each]) => placesIn(each, [...path, key]));
  return path.length === 0 ? inner : [[...path], ...inner];
}

/** The slot with the value at `path` replaced, or removed. */
function changed(path: readonly string[], value: unknown, remove = false): Uint8Array {
  const json = parsed();
  let holder: Json = json;
  for (const key of path.slice(0, -1)) holder = holder[key] as Json;
  const last = path.at(-1) ?? '';
  if (!remove) holder[last] = value;
  else if (Array.isArray(holder)) holder.splice(Number(last), 1);
  else delete holder[last];
  return slotOf(JSON.stringify(json));
}

describe('ledger slot', () => {
  it('gives back what went in', () => {
    expect(slot.length).toBe(ledgerSlotBytes);
    expect(decodeLedgerSlot(slot)).toEqual({ kind: 'valid', generation: 41, content });
    const clean = encodeLedgerSlot(largest, { ...content, clean: true, cursors: [], unconfirmed: [] });
    expect(decodeLedgerSlot(clean)).toMatchObject({ generation: largest, content: { clean: true, cursors: [] } });
  });

  it('has room for the fullest ledger there can be', () => {
    const bytes = encodeLedgerSlot(largest, fullest);
    expect(lengthOf(bytes)).toBeLessThanOrEqual(ledgerJsonBytesMax);
    expect(decodeLedgerSlot(bytes)).toEqual({ kind: 'valid', generation: largest, content: fullest });
    // Not one more digit could be in it: `false` is longer than `true`, names and numbers are the longest.
    expect(lengthOf(encodeLedgerSlot(1, { ...fullest, clean: true }))).toBeLessThan(lengthOf(bytes));
  });

  it('can be read by people', () => {
    const text = new TextDecoder().decode(slot.subarray(0, 4)) + jsonOf(slot);
    expect(text).toContain(
      'SPWL{"formatVersion":1,"uuid":"0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0","epoch":4,"clean":false',
    );
    expect(text).toContain('{"name":"default","next":6001,"segment":11,"offset":4096,"payload":500000}');
    expect(text).toContain('"dropped_oldest":[2,200]');
    expect(text).toContain('"unconfirmed":[[5000,5010],[6500,6600]]');
  });

  it('is bad at every cut, and whole once its JSON is', () => {
    const end = 24 + lengthOf(slot);
    for (let cut = 0; cut < ledgerSlotBytes; cut += cut < end + 8 ? 1 : 97) {
      const kind = decodeLedgerSlot(slot.subarray(0, cut)).kind;
      expect(kind, `cut at ${cut}`).toBe(cut < end ? 'bad' : 'valid');
    }
    const memory = new Uint8Array(ledgerSlotBytes + 5);
    memory.set(slot, 5);
    expect(decodeLedgerSlot(memory.subarray(5)).kind).toBe('valid');
  });

  it('is bad with any bit flipped', () => {
    const end = 24 + lengthOf(slot);
    for (let place = 0; place < end; place++) {
      for (const bit of byScale({ sample: [place & 7], full: [0, 1, 2, 3, 4, 5, 6, 7] })) {
        const flipped = slot.slice();
        flipped[place] = (flipped[place] ?? 0) ^ (1 << bit);
        expect(decodeLedgerSlot(flipped), `byte ${place}, bit ${bit}`).toEqual({ kind: 'bad' });
      }
    }
    const behind = slot.slice().fill(0xff, end); // Nothing behind the JSON counts.
    expect(decodeLedgerSlot(behind).kind).toBe('valid');
  });

  it('is bad as zeros, as ones, as other lengths', () => {
    expect(decodeLedgerSlot(new Uint8Array(ledgerSlotBytes))).toEqual({ kind: 'bad' });
    expect(decodeLedgerSlot(new Uint8Array(ledgerSlotBytes).fill(0xff))).toEqual({ kind: 'bad' });
    const long = slot.slice();
    new DataView(long.buffer).setUint32(8, 2 ** 32 - 1, true);
    expect(decodeLedgerSlot(long)).toEqual({ kind: 'bad' });
    const roomy = new Uint8Array(2 * ledgerSlotBytes); // Two slots at once, and a length that reaches into the second.
    const padding = ' '.repeat(ledgerJsonBytesMax + 1 - lengthOf(slot));
    roomy.set(slotOf(jsonOf(slot) + padding, 41n, roomy.length));
    expect(decodeLedgerSlot(roomy)).toEqual({ kind: 'bad' });
  });
});

describe('ledger slot, checksums that hold over other JSON', () => {
  it('is bad if any field is missing', () => {
    const items = new Set(['cursors/0', 'cursors/1', 'unconfirmed/0', 'unconfirmed/1']);
    for (const path of placesIn(parsed())) {
      const kind = decodeLedgerSlot(changed(path, undefined, true)).kind;
      expect(kind, path.join('/')).toBe(items.has(path.join('/')) ? 'valid' : 'bad');
    }
  });

  it('is bad if any field has another type', () => {
    for (const path of placesIn(parsed())) {
      for (const value of [null, 'text', -1, 1.5, true, {}, [], [1], [1, 'two']]) {
        const fits =
          (path.join() === 'clean' && value === true) ||
          (['cursors', 'unconfirmed'].includes(path.join()) && Array.isArray(value) && value.length === 0) ||
          (path.at(-1) === 'name' && value === 'text');
        const kind = decodeLedgerSlot(changed(path, value)).kind;
        expect(kind, `${path.join('/')} = ${JSON.stringify(value)}`).toBe(fits ? 'valid' : 'bad');
      }
    }
  });

  it('is bad with names, ranges and lists outside their bounds', () => {
    const names = ['', 'a b', 'ä', 'a/b', 'x'.repeat(65), '__proto__\n', 'archive.s3-eu_1'];
    for (const name of names) expect(decodeLedgerSlot(changed(['cursors', '0', 'name'], name)).kind, name).toBe('bad');
    expect(decodeLedgerSlot(changed(['cursors', '0', 'name'], 'x'.repeat(64))).kind).toBe('valid');
    expect(decodeLedgerSlot(changed(['unconfirmed', '0'], [2, 1])).kind).toBe('bad');
    expect(decodeLedgerSlot(changed(['unconfirmed'], Array(17).fill([1, 2]))).kind).toBe('bad');
    const cursor = { name: 'n', next: 1, segment: 1, offset: 1, payload: 1 };
    const cursors = Array.from({ length: 33 }, (_, place) => ({ ...cursor, name: `n${place}` }));
    expect(decodeLedgerSlot(changed(['cursors'], cursors)).kind).toBe('bad');
    expect(decodeLedgerSlot(changed(['cursors'], cursors.slice(1))).kind).toBe('valid');
    expect(decodeLedgerSlot(changed(['epoch'], 2 ** 32)).kind).toBe('bad');
    expect(decodeLedgerSlot(changed(['uuid'], content.uuid.toUpperCase())).kind).toBe('bad');
  });

  it('is bad if it is not JSON, or JSON of another shape', () => {
    for (const json of ['', '{', 'null', '1', '"text"', '[]', '{}', '[{"formatVersion":1}]', '['.repeat(8000)]) {
      expect(decodeLedgerSlot(slotOf(json)), json.slice(0, 20)).toEqual({ kind: 'bad' });
    }
    expect(decodeLedgerSlot(slotOf(Uint8Array.of(0xff, 0xfe)))).toEqual({ kind: 'bad' });
    const json = new TextEncoder().encode(jsonOf(slot).replace('{', '{"note":"?",'));
    expect(decodeLedgerSlot(slotOf(json)).kind).toBe('valid');
    json[json.indexOf(0x3f)] = 0xff; // No UTF-8.
    expect(decodeLedgerSlot(slotOf(json))).toEqual({ kind: 'bad' });
    expect(decodeLedgerSlot(slotOf(jsonOf(slot), 2n ** 53n))).toEqual({ kind: 'bad' });
    expect(decodeLedgerSlot(slotOf(jsonOf(slot), 2n ** 53n - 1n)).kind).toBe('valid');
  });

  it('passes over fields it does not know', () => {
    const json = parsed();
    json['later'] = { anything: [1, 2, 3] };
    (json['totals'] as Json)['expired'] = [1, 2];
    ((json['cursors'] as Json[])[0] as Json)['lag'] = 5;
    (json['unconfirmed'] as unknown[][])[0]?.push('why');
    expect(decodeLedgerSlot(slotOf(JSON.stringify(json)))).toEqual({ kind: 'valid', generation: 41, content });
  });

  it('says that a newer format is newer, whatever else is in it', () => {
    expect(decodeLedgerSlot(slotOf('{"formatVersion":2}'))).toEqual({ kind: 'unknown', formatVersion: 2 });
    expect(decodeLedgerSlot(changed(['formatVersion'], 3))).toEqual({ kind: 'unknown', formatVersion: 3 });
    expect(decodeLedgerSlot(changed(['formatVersion'], 0))).toEqual({ kind: 'bad' });
  });

  it('saturates numbers, reading and writing', () => {
    const many = changed(['totals', 'appended', '1'], 0).slice();
    expect(decodeLedgerSlot(many)).toMatchObject({ content: { totals: { appended: { bytes: 0 } } } });
    const json = jsonOf(slot).replace('"appended":[7000,700000]', '"appended":[9007199254740993,1e300]');
    const appended = { events: largest, bytes: largest };
    expect(decodeLedgerSlot(slotOf(json))).toMatchObject({ kind: 'valid', content: { totals: { appended } } });
    const huge = { ...content, totals: { ...content.totals, appended: { events: 2 ** 60, bytes: 2 ** 53 } } };
    expect(decodeLedgerSlot(encodeLedgerSlot(1, huge))).toMatchObject({ content: { totals: { appended } } });
  });

  it('lets no key reach a prototype', () => {
    const json = jsonOf(slot);
    const polluted = [
      json.replace('{"formatVersion"', '{"__proto__":{"polluted":1},"formatVersion"'),
      json.replace('"totals":{', '"totals":{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},'),
    ];
    for (const text of polluted) {
      const reading = decodeLedgerSlot(slotOf(text));
      expect(reading).toEqual({ kind: 'valid', generation: 41, content });
      expect(({} as Json)['polluted']).toBeUndefined();
      expect(reading.kind === 'valid' && 'polluted' in reading.content.totals.removed).toBe(false);
    }
    // A field that stands on a prototype only is a field that is missing.
    const inherited = json.replace('"clean":false,', '"__proto__":{"clean":false},');
    expect(decodeLedgerSlot(slotOf(inherited))).toEqual({ kind: 'bad' });
    Object.defineProperty(Object.prototype, 'clean', { value: false, configurable: true });
    const reading = decodeLedgerSlot(slotOf(json.replace('"clean":false,', '')));
    Reflect.deleteProperty(Object.prototype, 'clean');
    expect(reading).toEqual({ kind: 'bad' });
  });
});

describe('encodeLedgerSlot', () => {
  it('refuses what it would refuse to read', () => {
    const cursor = { name: 'a', nextId: 1, segment: 1, offset: 1, payloadBytes: 1 };
    const wrong: Partial<LedgerContent>[] = [
      { uuid: 'x' },
      { formatVersion: 2 },
      { epoch: -1 },
      { cursors: [{ ...cursor, name: '' }] },
      { cursors: [cursor, cursor] },
      { cursors: [{ ...cursor, offset: 0.5 }] },
      { cursors: [{ ...cursor, nextId: Number.NaN }] },
      { unconfirmed: [{ from: 2, to: 1 }] },
      { unconfirmed: Array(17).fill({ from: 1, to: 2 }) },
    ];
    for (const change of wrong) {
      expect(() => encodeLedgerSlot(1, { ...content, ...change }), JSON.stringify(change)).toThrow('I5.4');
    }
    expect(() => encodeLedgerSlot(-1, content)).toThrow('generation');
    expect(() => encodeLedgerSlot(largest + 1, content)).toThrow('generation');
  });
});
