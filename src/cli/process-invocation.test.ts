import { EventEmitter } from 'node:events';
import type { Writable } from 'node:stream';
import { expect, it } from 'vitest';
import { outputOf } from './process-invocation.ts';

function streamOf(written: string[]): Writable {
  return Object.assign(new EventEmitter(), { write: (text: string) => written.push(text) }) as unknown as Writable;
}

const failure = (code: string): Error => Object.assign(new Error(code), { code });

it('goes on writing where a disk is full, and not where nobody reads', () => {
  const written: string[] = [];
  const stream = streamOf(written);
  const output = outputOf(stream);
  stream.emit('error', failure('ENOSPC'));
  output.write('there may be room again');
  expect(output.readerGone.aborted).toBe(false);
  stream.emit('error', failure('EPIPE'));
  output.write('lost');
  expect(output.readerGone.aborted).toBe(true);
  expect(written).toEqual(['there may be room again']);
});
