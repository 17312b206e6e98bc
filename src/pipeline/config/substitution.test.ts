import { describe, expect, it } from 'vitest';
import { issuesOf, load, withSink } from '../../../test/config-rig.ts';
import { substitute } from './substitution.ts';

const env = { A: 'one', EMPTY: '', NESTED: '${A}', NUMBER: '5', DIGITS: '0123', TRUTH: 'true' };
const plain = (text: string): string => substitute(text, env).text;
const problems = (text: string): string[] => substitute(text, env).problems.map(({ message }) => message);

describe('what is put in', () => {
  it.each([
    ['${A}', 'one'],
    ['${env:A}', 'one'],
    ['x${A}y${A}z', 'xoneyonez'],
    ['${NOT_SET:-two}', 'two'],
    ['${NOT_SET-two}', 'two'],
    ['${NOT_SET:-}', ''],
    ['${EMPTY:-two}', 'two'],
    ['${EMPTY-two}', ''],
    ['${env:NOT_SET:-http://x:1?a=b}', 'http://x:1?a=b'],
    ['${A:?must be set}', 'one'],
    ['${NESTED}', '${A}'],
    ['$$', '$'],
    ['$${A}', '${A}'],
    ['$$$${A}', '$${A}'],
    ['$$${A}', '$one'],
    ['a$', 'a$'],
    ['^a$|^$', '^a$|^$'],
    ['$A', '$A'],
    ['no dollar', 'no dollar'],
  ])('%j gives %j', (text, expected) => {
    expect(plain(text)).toBe(expected);
    expect(problems(text)).toEqual([]);
  });

  it.each([
    ['${NOT_SET}', 'the variable NOT_SET is not set; set it, or give a default: ${NOT_SET:-default}'],
    ['${NOT_SET:?name the host}', 'the variable NOT_SET is not set: name the host'],
    ['${EMPTY:?name the host}', 'the variable EMPTY is empty: name the host'],
    ['${NOT_SET:-${A}}', 'a default cannot hold another variable'],
    ['${', 'expected ${NAME}, ${NAME:-default} or ${NAME:?message}; write $$ for a dollar sign'],
    ['${}', 'expected ${NAME}, ${NAME:-default} or ${NAME:?message}; write $$ for a dollar sign'],
    ['${A', 'expected ${NAME}, ${NAME:-default} or ${NAME:?message}; write $$ for a dollar sign'],
    ['${1A}', 'expected ${NAME}, ${NAME:-default} or ${NAME:?message}; write $$ for a dollar sign'],
    ['${A:x}', 'expected ${NAME}, ${NAME:-default} or ${NAME:?message}; write $$ for a dollar sign'],
    ['${constructor}', 'the variable constructor is not set; set it, or give a default: ${constructor:-default}'],
  ])('%j is refused', (text, message) => {
    expect(problems(text)).toEqual([message]);
  });

  it('finds all that is wrong in one text', () => {
    expect(problems('${NO} ${A} ${ALSO_NO}')).toHaveLength(2);
  });
});

describe('in a config', () => {
  const options = async (lines: string): Promise<unknown> => {
    return (await load(withSink(lines), { env })).settings.sinks[0]?.options;
  };

  it('types a plain scalar that is one variable, as YAML would', async () => {
    expect(await options('url: http://store\nevery_secs: ${NUMBER}')).toMatchObject({ every_secs: 5_000 });
    expect(await options('url: http://store\nevery_secs: ${NOT_SET:-0.25}')).toMatchObject({ every_secs: 250 });
    const { settings } = await load(withSink('url: http://store\nhealthcheck: ${TRUTH}'), { env });
    expect(settings.sinks[0]?.delivery.healthcheck.enabled).toBe(true);
  });

  it('leaves what is in quotes, or not all of the scalar, text', async () => {
    const text = withSink('url: http://store\nevery_secs: "${NUMBER}"');
    expect(await issuesOf(text, { env })).toEqual([
      '9:17 sinks.out.every_secs: expected a number of seconds; found <from $NUMBER>',
    ]);
    const part = withSink('url: http://store\nevery_secs: 1${NUMBER}');
    expect(await issuesOf(part, { env })).toEqual([
      '9:17 sinks.out.every_secs: expected a number of seconds; found <from $NUMBER>',
    ]);
  });

  it('leaves a variable of digits as it is where text is expected', async () => {
    expect(await options('url: http://store\npassword: ${DIGITS}\ntags: [a]')).toMatchObject({ password: '0123' });
    expect(await options('url: http://store\ntags:\n  - ${DIGITS}\n  - ${TRUTH}')).toMatchObject({
      tags: ['0123', 'true'],
    });
  });

  it('puts variables into list items and block text, never into keys', async () => {
    expect(await options('url: http://${A}\ntags: ["${A}", \'${A}\']')).toMatchObject({
      url: 'http://one',
      tags: ['one', 'one'],
    });
    expect(await options('url: http://store\ntags:\n  - |\n    ${A}\n    b')).toMatchObject({ tags: ['one\nb\n'] });
    expect(await issuesOf(withSink('url: http://store\n"${A}": 1'), { env })).toMatchObject([
      expect.stringContaining('9:5 sinks.out.${A}: a sink of type "store" has no such key'),
    ]);
  });

  it('lists every variable that is not set, at the place where it stands', async () => {
    const text = withSink('url: http://${HOST}:${PORT}/\npassword: ${WORD:?the password of the store}');
    expect(await issuesOf(text)).toEqual([
      '8:17 sinks.out.url: the variable HOST is not set; set it, or give a default: ${HOST:-default}',
      '8:25 sinks.out.url: the variable PORT is not set; set it, or give a default: ${PORT:-default}',
      '9:15 sinks.out.password: the variable WORD is not set: the password of the store',
    ]);
  });

  it('warns of a variable without braces, which stays as it is', async () => {
    const { settings, warnings } = await load(withSink('url: http://store\ntags: [$A, "^x$", $$A, $UNKNOWN]'), { env });
    expect(settings.sinks[0]?.options).toMatchObject({ tags: ['$A', '^x$', '$A', '$UNKNOWN'] });
    expect(warnings).toMatchObject([
      { line: 9, column: 12, message: '$A is left as it is: write ${A} for the variable, $$ for a dollar sign' },
    ]);
  });

  it('refuses secret backends: their words would become the secret', async () => {
    expect(await issuesOf(withSink('url: http://store\npassword: "SECRET[vault.store]"'))).toMatchObject([
      expect.stringContaining('9:15 sinks.out.password: there are no secret backends'),
    ]);
  });
});
