import { expect, it } from 'vitest';
import { createLog } from './pino-log.ts';

it('drops what a reader that stands still does not take, and says so when it reads again', () => {
  const lines: { readonly msg: string; readonly lines?: number }[] = [];
  const write = (line: string): void => void lines.push(JSON.parse(line));
  const output = { write, isTerminal: false, waitingBytes: 0, readerGone: new AbortController().signal };
  const log = createLog({ level: 'info', format: 'json', output });
  log.info('one');
  output.waitingBytes = 5 * 2 ** 20;
  for (let line = 0; line < 3; line++) log.info('lost');
  output.waitingBytes = 2 ** 20;
  log.info('two');
  log.info('three');
  expect(lines.map(({ msg }) => msg)).toEqual(['one', expect.stringContaining('dropped'), 'two', 'three']);
  expect(lines[1]).toMatchObject({ level: 'warn', lines: 3 });
});
