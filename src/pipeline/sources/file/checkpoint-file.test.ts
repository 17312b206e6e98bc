import { expect, it } from 'vitest';
import { decodeCheckpoints, encodeCheckpoints } from './checkpoint-file.ts';
import { endOf, firstMark, type LogMark, MarkTrail, markAt } from './log-mark.ts';
import { newLog } from './tailed-log.ts';

const bytes = Buffer.from(Array.from({ length: 4_000 }, (_, line) => `line ${line}\n`).join(''));

function sampleLog() {
  const start = firstMark(bytes);
  const log = newLog({ id: 'a-1', key: 'a', headEnd: 7, path: '/var/log/a', owner: '1:2', seenMs: 5, start });
  for (const offset of [7, 14, 700, 1_400, 7_000, 20_000]) log.advance(markAt(bytes, 0, offset, false));
  log.accepted = markAt(bytes, 0, 7_000, true);
  return log;
}

it('gives back what was written, and nothing of what was not accepted', () => {
  const log = sampleLog();
  const [read] = decodeCheckpoints(encodeCheckpoints([log]), 'file');
  expect(read).toEqual(log.state());
  expect(read?.accepted).toMatchObject({ offset: 7_000, midLine: true });
  expect(Math.max(...(read?.passed ?? []).map(endOf))).toBe(7_000);
  expect(decodeCheckpoints(encodeCheckpoints([]), 'file')).toEqual([]);
});

it('refuses a newer format, and says what to do', () => {
  const newer = encodeCheckpoints([sampleLog()]).replace('"version":1', '"version":2');
  const error = expect.objectContaining({ code: 'SPILLWAY_FORMAT_VERSION', path: 'the file' });
  expect(() => decodeCheckpoints(newer, 'the file')).toThrow(error);
});

it('takes nothing that is cut or changed for checkpoints', () => {
  const text = encodeCheckpoints([sampleLog()]);
  for (let end = 0; end < text.trimEnd().length; end++)
    expect(() => decodeCheckpoints(text.slice(0, end), 'f')).toThrow();
  for (const changed of [text.replace('7000', '-1'), text.replace('"a-1"', '1'), 'null', '[]', '{}']) {
    expect(() => decodeCheckpoints(changed, 'f')).toThrow();
  }
});

it('remembers a few marks of a log, close together at its beginning and near its end', () => {
  const trail = new MarkTrail();
  const mark = (offset: number): LogMark => markAt(bytes, 0, offset, false);
  for (let offset = 7; offset < 35_000; offset += 7) trail.pass(mark(offset));
  const offsets = trail.upTo(bytes.length).map(({ offset }) => offset);
  expect(offsets.length).toBeLessThan(15);
  expect(offsets.slice(0, 4)).toEqual([7, 14, 21, 28]);
  expect(offsets.at(-1)).toBe(34_993);
  expect(offsets.at(-2)).toBe(34_986);
  expect(offsets).toEqual([...offsets].sort((a, b) => a - b));
  expect(new MarkTrail(trail.upTo(bytes.length)).upTo(bytes.length)).toEqual(trail.upTo(bytes.length));
  expect(trail.upTo(20).map(({ offset }) => offset)).toEqual([7, 14]);
});
