import { describe, expect, it } from 'vitest';
import { issuesOf, load, refusal, withSink } from '../../../test/config-rig.ts';

const sink = (lines: string): string => withSink(`url: http://store\n${lines}`);
const disk = {
  '/run/word': 'hunter2\n',
  '/etc/spillway/near': 'a\nb\r\n\n',
  '/empty': '',
  '/binary': 'a\ufffdb',
  '/denied': undefined,
};

async function options(lines: string, env = {}): Promise<unknown> {
  return (await load(sink(lines), { disk, env })).settings.sinks[0]?.options;
}

it('reads a secret from a file, less one newline at its end', async () => {
  expect(await options('password_file: /run/word')).toMatchObject({ password: 'hunter2' });
  expect(await options('auth: { token_file: /run/word }')).toMatchObject({ auth: { token: 'hunter2' } });
});

it('finds it from the folder of the config', async () => {
  expect(await options('password_file: near')).toMatchObject({ password: 'a\nb\r\n' });
  expect(await options('password_file: ${DIR}/word', { DIR: '/run' })).toMatchObject({ password: 'hunter2' });
});

it('refuses the secret and its file together', async () => {
  expect(await issuesOf(sink('password: a\npassword_file: /run/word'), { disk })).toEqual([
    '10:5 sinks.out.password_file: both "password" and "password_file" are given; expected one of them',
  ]);
});

describe('a file that gives no secret', () => {
  it.each([
    ['/nowhere', 'the file /nowhere does not exist; expected it to hold the secret'],
    ['/denied', 'the file /denied cannot be read; expected it to hold the secret'],
  ])('%s: unreadable', async (path, message) => {
    const error = await refusal(sink(`password_file: ${path}`), { disk });
    expect(error.code).toBe('SPILLWAY_CONFIG_UNREADABLE');
    expect(error.issues).toMatchObject([{ line: 9, column: 20, path: 'sinks.out.password_file', message }]);
  });

  it('is invalid beside other errors', async () => {
    const error = await refusal(sink('password_file: /nowhere\nmode: x'), { disk });
    expect(error.code).toBe('SPILLWAY_CONFIG_INVALID');
    expect(error.issues).toHaveLength(2);
  });

  it('is told by what it gives', async () => {
    expect(await issuesOf(sink('password_file: /empty'), { disk })).toEqual([
      '9:20 sinks.out.password: expected text that is not empty; found <secret>',
    ]);
    expect(await issuesOf(sink('password_file: [a]'), { disk })).toEqual([
      '9:20 sinks.out.password_file: expected the path of a file that holds the secret',
    ]);
  });

  it('is no text', async () => {
    expect(await issuesOf(sink('password_file: /binary'), { disk })).toEqual([
      '9:20 sinks.out.password_file: the file /binary holds bytes that are not UTF-8; expected text',
    ]);
  });

  it('is not named where a variable names it: that may be the secret itself', async () => {
    const error = await refusal(sink('password_file: ${WORD}'), { disk, env: { WORD: 'hunter2' } });
    expect(error.message).not.toContain('hunter2');
  });
});

it('is offered for secrets only', async () => {
  expect(await issuesOf(sink('mode_file: /run/word'), { disk })).toMatchObject([
    expect.stringContaining('9:5 sinks.out.mode_file: a sink of type "store" has no such key'),
  ]);
});
