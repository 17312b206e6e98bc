import { sampleBatch, sampleBatchOf, sampleRecord } from 'spillway/testing';
import { describe, expect, it } from 'vitest';
import { textsOf } from '../test/message-reader.ts';
import { parseSource } from './column-source.ts';
import { type RowColumn, type Rows, rowsOf } from './rows.ts';

function columns(...paths: readonly string[]): readonly RowColumn[] {
  return paths.map((path) => ({ source: parseSource(path) ?? { kind: 'key' }, isJson: path === 'json' }));
}

function textsIn(rows: Rows): readonly (readonly (string | null)[])[] {
  return rows.kind === 'rows' ? rows.parameters.map(textsOf) : [];
}

describe('rows of a batch', () => {
  it('are arrays, one for each column, over all records', () => {
    const found = textsIn(
      rowsOf(sampleBatch('metrics', 7, [2, 1]), columns('id', 'metric.name', 'event.asInt', 'scope.x')),
    );
    expect(found).toEqual([
      ['7', '8', '9'],
      ['event-000007', 'event-000008', 'event-000009'],
      ['7', '8', '9'],
      [null, null, null],
    ]);
  });

  it('of one event may be as large as they are; of several they may not pass a limit', () => {
    const large = 'x'.repeat(2_000);
    const [id] = columns('id');
    const all = [...columns('json'), id as RowColumn];
    expect(rowsOf(sampleBatch('logs', 1, [1], large), all, { bytesMax: 1_000 }).kind).toBe('rows');
    expect(rowsOf(sampleBatch('logs', 1, [2], large), all, { bytesMax: 1_000 }).kind).toBe('too_large');
    expect(rowsOf(sampleBatch('logs', 1, [2], large), all, { bytesMax: 10_000 }).kind).toBe('rows');
  });

  it('are those of a portion, which may begin and end within a record', () => {
    const batch = sampleBatch('logs', 1, [3, 0, 1, 4]);
    for (let first = 0; first < 8; first += 1) {
      for (let rowsMax = 1; rowsMax < 10; rowsMax += 1) {
        const rows = rowsOf(batch, columns('id'), { first, rowsMax });
        const wanted = ['1', '2', '3', '4', '5', '6', '7', '8'].slice(first, first + rowsMax);
        expect(rows).toMatchObject({ kind: 'rows', count: wanted.length });
        expect(textsIn(rows)).toEqual([wanted]);
      }
    }
  });

  it.each(['json', 'severity'])('with %s are not made of an event that is broken, but of those before it', (path) => {
    const record = sampleRecord('logs', 1, 2);
    const bytes = Buffer.from(record.bytes);
    bytes[bytes.indexOf('event-000002') - 1] = 0x7f;
    const batch = sampleBatchOf('logs', [{ ...record, bytes }]);
    expect(rowsOf(batch, columns(path), { rowsMax: 1 })).toMatchObject({ kind: 'rows', count: 1 });
    expect(rowsOf(batch, columns(path), { first: 1 })).toMatchObject({ kind: 'rejected' });
    expect(rowsOf(batch, columns('id'))).toMatchObject({ kind: 'rows', count: 2 });
  });

  it('are not made of an origin that is none', () => {
    const batch = sampleBatchOf('logs', [{ ...sampleRecord('logs', 1, 1), origin: 'somewhere' }]);
    expect(() => rowsOf(batch, columns('id'))).toThrow('should be <uuid>/<epoch> and is somewhere');
  });
});
