import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SparseBytes } from './sparse-bytes.ts';

const spaceBytes = 50_000; // Three chunks and a bit.

const operation = fc.oneof(
  fc.record({
    kind: fc.constant('write' as const),
    at: fc.nat(spaceBytes - 5000),
    length: fc.nat(5000),
    fill: fc.nat(255),
  }),
  fc.record({ kind: fc.constant('length' as const), at: fc.nat(spaceBytes) }),
  fc.record({ kind: fc.constant('clone' as const) }),
);

test('sparse bytes are what plain bytes would be, and a copy is independent of its original', () => {
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 30 }), (operations) => {
      let bytes = SparseBytes.empty();
      const model = new Uint8Array(spaceBytes);
      let length = 0;
      const copies: { readonly copy: SparseBytes; readonly expected: Uint8Array }[] = [];
      for (const one of operations) {
        if (one.kind === 'write') {
          const source = new Uint8Array(one.length).fill(one.fill);
          bytes.write(source, one.at);
          model.set(source, one.at);
          if (one.length > 0) length = Math.max(length, one.at + one.length);
        } else if (one.kind === 'length') {
          bytes.setLength(one.at);
          model.fill(0, one.at);
          length = one.at;
        } else {
          copies.push({ copy: bytes, expected: model.slice(0, length) });
          bytes = bytes.clone();
        }
        copies.push({ copy: bytes.clone(), expected: model.slice(0, length) });
      }
      for (const { copy, expected } of copies) {
        // The original of a clone goes on changing no more, so each must still show its own moment.
        expect(Buffer.compare(copy.slice(0, copy.byteLength), expected)).toBe(0);
        expect(copy.byteLength).toBe(expected.length);
      }
      expect(Buffer.compare(bytes.slice(0, spaceBytes), model)).toBe(0);
    }),
  );
});

test('space is counted in sectors that were written', () => {
  const bytes = SparseBytes.empty();
  expect(bytes.allocationFor(0, 1)).toBe(512);
  expect(bytes.allocationFor(511, 513)).toBe(1024);
  bytes.write(new Uint8Array(2), 511);
  expect(bytes.allocatedBytes).toBe(1024);
  expect(bytes.allocationFor(0, 1025)).toBe(512);
  bytes.setLength(6 * 1024 ** 3);
  expect(bytes.allocatedBytes).toBe(1024);
  bytes.write(new Uint8Array(100_000), 5 * 1024 ** 3);
  expect(bytes.allocatedBytes).toBe(1024 + 196 * 512);
  bytes.setLength(512);
  expect(bytes.allocatedBytes).toBe(512);
  bytes.setLength(0);
  expect(bytes.allocatedBytes).toBe(0);
});

test('equality looks at bytes, not at who stores them', () => {
  const zeros = SparseBytes.empty();
  zeros.setLength(40_000);
  const written = SparseBytes.empty();
  written.write(new Uint8Array(40_000), 0);
  expect(zeros.equals(written, 0, 40_000)).toBe(true);
  written.write(Uint8Array.of(1), 20_000);
  expect(zeros.equals(written, 0, 40_000)).toBe(false);
  expect(written.equals(zeros, 20_001, 40_000)).toBe(true);
});
