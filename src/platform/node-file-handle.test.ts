// What cannot be seen from outside: in which order a handle makes its calls. node:fs is replaced for that.
import { close, read, write } from 'node:fs';
import { beforeEach, expect, test, vi } from 'vitest';
import { NodeFileHandle } from './node-file-handle.ts';

vi.mock('node:fs', { spy: true });

type Done = (error: Error | null, count?: number) => void;

const under: Done[] = [];
const order: string[] = [];

/** Stands in for a call of node:fs: it ends when the test says so. */
function pending(name: string): (...parts: readonly unknown[]) => void {
  return (...parts) => {
    order.push(name);
    under.push(parts.at(-1) as Done);
  };
}

beforeEach(() => {
  under.length = 0;
  order.length = 0;
  vi.mocked(read).mockImplementation(pending('read'));
  vi.mocked(write).mockImplementation(pending('write'));
  vi.mocked(close).mockImplementation(pending('close'));
});

async function settle(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

test('a descriptor is given back only when no call uses it any more', async () => {
  const file = new NodeFileHandle(1_000_000, '/data/a');
  const reading = file.read(new Uint8Array(1), 0);
  const closing = file.close();
  await settle();
  expect(order).toEqual(['read']);
  under.shift()?.(null, 1);
  expect(await reading).toBe(1);
  await settle();
  expect(order).toEqual(['read', 'close']);
  const again = file.close();
  under.shift()?.(null);
  await closing;
  await again;
  expect(order).toEqual(['read', 'close']);
});

test('a write of which the system takes nothing is an error, not an endless loop', async () => {
  const file = new NodeFileHandle(1_000_000, '/data/a');
  const writing = file.write(new Uint8Array(1), 0);
  under.shift()?.(null, 0);
  await expect(writing).rejects.toMatchObject({ kind: 'io', operation: 'write' });
});

test('a short write is returned as it is', async () => {
  const file = new NodeFileHandle(1_000_000, '/data/a');
  const writing = file.write(new Uint8Array(10), 0);
  under.shift()?.(null, 3);
  expect(await writing).toBe(3);
});
