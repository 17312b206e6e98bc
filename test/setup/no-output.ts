// A test that prints fails. Output nobody reads hides the one line somebody should, and a library has no business
// writing to the terminal of the program it is part of. What was printed is put into the failure, so nothing is lost.
import { afterAll, afterEach, beforeEach } from 'vitest';

const printed: string[] = [];

function record(source: string): (...parts: unknown[]) => void {
  return (...parts) => {
    printed.push(`${source}: ${parts.map(String).join(' ').trimEnd()}`);
  };
}

for (const method of ['debug', 'dir', 'error', 'info', 'log', 'table', 'trace', 'warn'] as const) {
  console[method] = record(`console.${method}`);
}
for (const name of ['stdout', 'stderr'] as const) {
  const note = record(`process.${name}`);
  // Only the form that this needs: callers that wait for a callback or for 'drain' must not wait for ever.
  process[name].write = ((chunk: unknown, encoding?: unknown, done?: unknown) => {
    note(typeof chunk === 'string' ? chunk : new TextDecoder().decode(chunk as Uint8Array));
    const callback = typeof encoding === 'function' ? encoding : done;
    if (typeof callback === 'function') queueMicrotask(() => callback());
    return true;
  }) as typeof process.stdout.write;
}

function refuse(): void {
  const lines = printed.splice(0);
  if (lines.length === 0) return;
  throw new Error(`a test printed: assert on it or remove it\n${lines.map((line) => `  ${line}`).join('\n')}`);
}

beforeEach(refuse); // What a file prints while it is loaded counts against its first test.
afterEach(refuse);
afterAll(refuse);
