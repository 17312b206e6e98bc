import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import type { ZodType } from 'zod';
import { linesOf } from '../../../../test/tail-rig.ts';
import { markersOf, sourceCases } from '../../../testing/index.ts';
import { simulatedWorld, testSourceContext } from '../../../testing/pipeline-contexts.ts';
import type { Source } from '../../contract/source.ts';
import { stdinSource, stdinSourceFrom } from './stdin-source.ts';

describe('the standard input, like every source', () => {
  const harness = () => {
    const input = new PassThrough();
    let next = 1;
    return {
      definition: stdinSourceFrom(() => input),
      options: {},
      world: simulatedWorld(),
      async produce(count: number): Promise<void> {
        for (const marker of markersOf(next, count)) input.write(`a line with ${marker} in it\n`);
        next += count;
      },
      async end(): Promise<void> {
        input.end();
      },
      async close(): Promise<void> {
        input.destroy();
      },
    };
  };
  for (const { name, run } of sourceCases(harness)) it(name, run);
});

async function reading(options: object = {}) {
  const input = new PassThrough();
  const context = testSourceContext();
  const definition = stdinSourceFrom(() => input);
  const source = (await definition.create((definition.schema as ZodType).parse(options) as never, context)) as Source;
  const ended = source.run();
  const texts = (): string[] => context.accepted.flatMap((batch) => linesOf(batch).map(({ text }) => text));
  return { input, context, ended, texts, sim: context.world.sim };
}

it('is what a config calls stdin', () => {
  expect(stdinSource).toMatchObject({ kind: 'source', type: 'stdin' });
});

it('puts lines together that came in parts, and ends with the last one, which has no end', async () => {
  const { input, ended, texts, sim } = await reading();
  for (const part of ['on', 'e\r\ntw', 'o\n', '\nfour']) {
    input.write(part);
    await sim.settle();
  }
  expect(texts()).toEqual(['one', 'two', '']);
  input.end();
  await sim.run(ended);
  expect(texts()).toEqual(['one', 'two', '', 'four']);
});

it('cuts lines that are too long, and skips the rest whatever its length', async () => {
  const { input, ended, texts, context, sim } = await reading({ max_line_bytes: 16 });
  for (let part = 0; part < 100; part++) input.write('x'.repeat(1_000));
  input.end('\nlast');
  await sim.run(ended);
  expect(texts()).toEqual(['x'.repeat(16), 'last']);
  expect(context.log.lines.at(-1)?.fields).toMatchObject({ skippedBytesInAll: 99_984 });
});

it('joins lines, and waits no longer than told for the next', async () => {
  const multiline = { start_pattern: '^\\S', mode: 'halt_before', condition_pattern: '^\\S', timeout_ms: 500 };
  const { input, ended, texts, sim } = await reading({ multiline });
  input.write('one\n  more\ntwo\n');
  await sim.advance(499);
  expect(texts()).toEqual(['one\n  more']);
  await sim.advance(1);
  expect(texts()).toEqual(['one\n  more', 'two']);
  input.end('three\n and more');
  await sim.run(ended);
  expect(texts().at(-1)).toBe('three\n and more');
});

it('reads nothing while nothing is taken', async () => {
  const { input, context, ended, sim } = await reading();
  let isOpen = false;
  context.answerWith(() => (isOpen ? { kind: 'accepted' } : { kind: 'full', retryAfterMs: 100 }));
  input.write('first\n');
  await sim.advance(1_000);
  let isRoom = true;
  for (let part = 0; part < 1_000 && isRoom; part++) isRoom = input.write(`${'x'.repeat(1_000)}\n`);
  await sim.advance(10_000);
  expect(isRoom).toBe(false);
  expect(input.readableLength + input.writableLength).toBeGreaterThan(10_000);
  isOpen = true;
  await sim.advance(1_000);
  expect(input.readableLength).toBe(0);
  input.end();
  await sim.run(ended);
});

it('says what is lost with the process', async () => {
  const { input, context, ended, sim } = await reading();
  context.answerWith(() => ({ kind: 'unavailable', reason: 'it is stopping', retryAfterMs: 100 }));
  input.write('one\ntwo\n');
  await sim.advance(50);
  context.stop();
  await sim.run(ended);
  expect(context.log.lines.at(-1)).toMatchObject({ level: 'error', fields: { lines: 2 } });
});

it('ends when it cannot be read any further', async () => {
  const { input, context, ended, texts, sim } = await reading();
  input.write('one\ntw');
  await sim.settle();
  input.destroy(new Error('the terminal is gone'));
  await sim.run(ended);
  expect(texts()).toEqual(['one', 'tw']);
  expect(context.log.lines[0]?.level).toBe('error');
});
