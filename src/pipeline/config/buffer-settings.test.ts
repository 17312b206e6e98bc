import { describe, expect, it } from 'vitest';
import { issuesOf, load, withSink } from '../../../test/config-rig.ts';
import type { BufferSettings } from '../contract/settings.ts';

const sink = (lines: string): string => withSink(`url: http://store\n${lines}`);

async function buffersOf(text: string): Promise<unknown[]> {
  const { settings } = await load(text);
  return settings.buffers.map(({ id, stages }: BufferSettings) => [
    id,
    ...stages.map(({ definition, options }) => ({ type: definition.type, ...(options as object) })),
  ]);
}

const disk = { type: 'disk', max_size: 2 ** 28, when_full: 'block' };
const memory = { type: 'memory', max_events: 500, when_full: 'block' };

it.each([
  ['nothing', 'tags: []', [['out', disk]]],
  ['no type', 'buffer: { max_size: 1GiB }', [['out', { ...disk, max_size: 2 ** 30 }]]],
  ['a type', 'buffer: { type: memory, max_events: 10 }', [['out', { ...memory, max_events: 10 }]]],
  [
    'bytes',
    'buffer: { max_size: 1048576, when_full: drop_newest }',
    [['out', { type: 'disk', max_size: 2 ** 20, when_full: 'drop_newest' }]],
  ],
  ['a list of one', 'buffer: [{ type: memory }]', [['out', memory]]],
  [
    'an overflow chain',
    'buffer:\n- { type: memory, max_events: 10, when_full: overflow }\n- { type: disk }',
    [['out', { ...memory, max_events: 10 }, disk]],
  ],
])('a sink with %s has a buffer of its own', async (_, lines, expected) => {
  expect(await buffersOf(sink(lines))).toEqual(expected);
});

it('shared by several sinks is one, under its id', async () => {
  const shared = 'shelf: { max_size: 1GiB }\n  chain: [{ type: memory, when_full: overflow }, {}]';
  const text = `buffers:\n  ${shared}\n${sink('buffer: shelf')}
  second: { type: store, url: "http://store", inputs: [in], buffer: shelf, start_at: newest }
  third: { type: store, url: "http://store", inputs: [in], buffer: chain }`;
  expect(await buffersOf(text)).toEqual([
    ['shelf', { ...disk, max_size: 2 ** 30 }],
    ['chain', memory, disk],
  ]);
  const { settings } = await load(text);
  expect(settings.sinks.map(({ id, buffer, startAt }) => [id, buffer, startAt])).toEqual([
    ['out', 'shelf', 'oldest'],
    ['second', 'shelf', 'newest'],
    ['third', 'chain', 'oldest'],
  ]);
});

describe('a chain with a mistake', () => {
  it.each([
    [
      'buffer: []',
      '9:13 sinks.out.buffer: expected the options of a buffer, or a list of them for an overflow chain; ' +
        'found an empty list',
    ],
    [
      'buffer: [shelf]',
      '9:14 sinks.out.buffer[0]: expected the options of a buffer; a list holds no ids; found "shelf"',
    ],
    [
      'buffer: 5',
      '9:13 sinks.out.buffer: expected the options of a buffer, or a list of them for an overflow chain; found 5',
    ],
    [
      'buffer: { when_full: overflow }',
      '9:26 sinks.out.buffer.when_full: nothing to overflow to: no buffer stands behind this one in a ' +
        'list; expected another value',
    ],
    [
      'buffer: [{ type: memory }, {}]',
      '9:14 sinks.out.buffer[0].when_full: expected "when_full: overflow": otherwise the next buffer of ' +
        'the list would never be used',
    ],
    [
      'buffer: [{ type: memory, when_full: block }, {}]',
      '9:41 sinks.out.buffer[0].when_full: expected "when_full: overflow": otherwise the next buffer of ' +
        'the list would never be used',
    ],
    [
      'buffer: { max_events: 500 }',
      '9:15 sinks.out.buffer.max_events: a buffer of type "disk" has no such key, one of type "memory" ' +
        'has; without "type" a buffer is of type "disk"',
    ],
    [
      'buffer: { type: disk, max_events: 500 }',
      '9:27 sinks.out.buffer.max_events: a buffer of type "disk" has no such key, one of type "memory" has',
    ],
    ['buffer: { type: disk_v2 }', '9:21 sinks.out.buffer.type: what Vector calls "disk_v2" is called "disk" here'],
    ['buffer: { type: store }', '9:21 sinks.out.buffer.type: "store" is a sink, not a buffer'],
    [
      'buffer: { max_size: 1KiB }',
      '9:25 sinks.out.buffer.max_size: expected a size such as 256MiB or a whole number of bytes, at least ' +
        '1048576; found "1KiB"',
    ],
    [
      'buffer: { when_full: blok }',
      '9:26 sinks.out.buffer.when_full: expected one of "block", "drop_newest"; found "blok"; did you mean "block"?',
    ],
  ])('%s', async (lines, expected) => {
    expect(await issuesOf(sink(lines))).toEqual([expected]);
  });
});
