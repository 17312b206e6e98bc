import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Writable } from 'node:stream';
import { expect, it } from 'vitest';
import { outputTo } from './output-stream.ts';

function failing(code: string): Writable {
  const error = Object.assign(new Error(code), { code });
  return new Writable({ write: (_chunk, _encoding, done) => done(error) });
}

it('resolves when the text has been taken, not before', async () => {
  let take: () => void = () => undefined;
  const taken: string[] = [];
  const stream = new Writable({
    write(chunk, _encoding, done) {
      taken.push(String(chunk));
      take = done;
    },
  });
  const written = outputTo('out', stream, true).write('one');
  let isWritten = false;
  void written.then(() => {
    isWritten = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  expect({ taken, isWritten }).toEqual({ taken: ['one'], isWritten: false });
  take();
  expect(await written).toBe('written');
});

it('tells a reader that has gone from a failure, again and again', async () => {
  const gone = outputTo('out', failing('EPIPE'), true);
  expect(await gone.write('one')).toBe('closed');
  expect(await gone.write('two')).toBe('closed');
  await expect(outputTo('out', failing('EIO'), true).write('one')).rejects.toMatchObject({
    code: 'SPILLWAY_STORAGE_IO',
    path: 'out',
  });
});

it('colours terminals only, and only where colours are wanted', () => {
  const terminal = Object.assign(new Writable(), { isTTY: true });
  expect(outputTo('out', terminal, true).hasColor).toBe(true);
  expect(outputTo('out', terminal, false).hasColor).toBe(false);
  expect(outputTo('out', new Writable(), true).hasColor).toBe(false);
});

it('does not end the process when the reader of a real pipe goes', async () => {
  const program = `
    const { standardOutput } = await import(${JSON.stringify(new URL('./output-stream.ts', import.meta.url).href)});
    const output = standardOutput('stdout');
    let result = 'written';
    for (let at = 0; at < 1_000_000 && result === 'written'; at++) result = await output.write('x'.repeat(1_000));
    await standardOutput('stderr').write(result);`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  child.stdout.once('data', () => child.stdout.destroy());
  let told = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    told += text;
  });
  await once(child, 'close');
  expect({ code: child.exitCode, told }).toEqual({ code: 0, told: 'closed' });
});
