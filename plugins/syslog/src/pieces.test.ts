import { markersIn, markersOf, sampleBatch, sampleBatchOf, sampleRecord } from 'spillway/testing';
import { expect, it } from 'vitest';
import { parseMessages } from '../test/message-parser.ts';
import { messageFormat, schema } from './options.ts';
import { type Piece, type PiecesOptions, piecesOf } from './pieces.ts';

function options(given: Partial<PiecesOptions> = {}): PiecesOptions {
  const format = messageFormat(schema.parse({ address: 'localhost:601' }));
  return { format, hasKeys: true, isConfirmed: () => false, bytesMax: () => 10_000, ...given };
}

const markersOfPiece = (piece: Piece): string[] => parseMessages(piece.frames).flatMap(({ bytes }) => markersIn(bytes));

it('are whole messages, in order, not much larger than they may be, with the keys of their events', () => {
  const batch = sampleBatch('logs', 1, [200, 300], 'x'.repeat(200));
  const pieces = [...piecesOf(batch, options())] as Piece[];
  expect(pieces.length).toBeGreaterThan(10);
  for (const { frames } of pieces) expect(frames.length).toBeLessThan(11_000);
  expect(pieces.flatMap(markersOfPiece)).toEqual(markersOf(1, 500));
  const origin = batch.records[0]?.origin;
  expect(pieces.flatMap(({ keys }) => keys)).toEqual(Array.from({ length: 500 }, (_, at) => `${origin}-${at + 1}`));
});

it('are as large as they may be when they are made', () => {
  const sizes = [100_000, 1];
  const batch = sampleBatch('logs', 1, [4], 'x'.repeat(200));
  const [first, second] = [...piecesOf(batch, options({ bytesMax: () => sizes[0] as number }))] as Piece[];
  expect([first?.keys.length, second]).toEqual([4, undefined]);
  const single = [...piecesOf(batch, options({ bytesMax: () => sizes[1] as number }))] as Piece[];
  expect(single.map(({ keys }) => keys.length)).toEqual([1, 1, 1, 1]);
});

it('leave out what is confirmed', () => {
  const isConfirmed = (key: string): boolean => !key.endsWith('-3');
  const pieces = [...piecesOf(sampleBatch('logs', 1, [2, 3]), options({ isConfirmed }))] as Piece[];
  expect(pieces.flatMap(markersOfPiece)).toEqual(['event-000003']);
  expect([...piecesOf(sampleBatch('logs', 1, [2]), options({ isConfirmed: () => true }))]).toEqual([]);
});

it('end with what cannot be sent', () => {
  const record = sampleRecord('logs', 3, 2);
  const bytes = Buffer.from(record.bytes);
  bytes[bytes.indexOf('event-000004') - 1] = 0x7f; // Longer than the event.
  const batch = sampleBatchOf('logs', [sampleRecord('logs', 1, 2), { ...record, bytes }, sampleRecord('logs', 5, 1)]);
  const [piece, end, ...more] = [...piecesOf(batch, options())];
  expect(markersOfPiece(piece as Piece)).toEqual(markersOf(1, 3));
  expect([end, more]).toEqual([{ unsendable: 'an event cannot be decoded' }, []]);
});
