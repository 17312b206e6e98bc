import { expect, it } from 'vitest';
import { issuesOf, load, withSink } from '../../../test/config-rig.ts';

const ok = withSink('url: http://store');

it('says that an empty config is empty', async () => {
  const empty = ['1:1 : the config is empty; expected data_dir, sources and sinks'];
  for (const text of ['', '\n\n', '# nothing\n', '---\n', '~', 'null']) expect(await issuesOf(text)).toEqual(empty);
});

it('refuses a root that is no map', async () => {
  for (const text of ['- a', 'word', '42']) {
    expect(await issuesOf(text)).toEqual(['1:1 : expected a map with data_dir, sources and sinks']);
  }
});

it.each([
  ['a: "b', '1:6', 'a character is missing here: a closing quote or bracket, a comma, or a space after ":"'],
  ['a: b: c', '1:4', 'a map or list cannot begin in the middle of this line; text with ": " in it needs quotes'],
  ['a:\n\t- b', '2:1', 'a tab stands where YAML wants spaces'],
  ['a: `b`', '1:4', 'text cannot begin with this character; put it in quotes'],
  [
    'a: "\\q"',
    '1:5',
    'a backslash in double quotes is followed by what is no escape; use single quotes, or write \\\\',
  ],
])('places what the parser cannot read: %j', async (text, place, message) => {
  expect(await issuesOf(text)).toContain(`${place} : the YAML cannot be read: ${message}`);
});

it('never shows the text that cannot be read', async () => {
  const issues = await issuesOf('password: "hunter2\nother: hunter2: hunter2\n  - hunter2');
  expect(issues.join()).not.toContain('hunter2');
});

it('tells why a variable between brackets is no YAML', async () => {
  const [first] = await issuesOf('a: [${B}]');
  expect(first).toContain('inside [ ] and { } a variable needs quotes: "${NAME}"');
});

it('refuses what was not saved as UTF-8', async () => {
  const config = Buffer.from(withSink('url: http://store\npassword: caf\u00e9'), 'latin1').toString();
  expect(await issuesOf(config)).toEqual(['9:18 : a character here is not UTF-8; save the file as UTF-8']);
});

it('refuses a second document, at its place', async () => {
  expect(await issuesOf(`${ok}\n---\na: 1`)).toEqual([
    '9:1 : a second document begins here; a config is one: remove the "---"',
  ]);
});

it('refuses directives: they change what the file means', async () => {
  const [first] = await issuesOf(`%YAML 1.1\n---\n${ok}`);
  expect(first).toContain('directives such as %YAML are not understood');
});

it('refuses keys that stand twice, in block and in flow', async () => {
  expect(await issuesOf(withSink('url: http://store\nurl: http://other\ntags: []'))).toEqual([
    '9:5 sinks.out.url: the key stands twice; it is also on line 8',
  ]);
  expect(await issuesOf(withSink('url: http://store\nauth: { token: a, token: b }'))).toEqual([
    '9:23 sinks.out.auth.token: the key stands twice; it is also on line 9',
  ]);
});

it('refuses keys that every object has, and stays what it is', async () => {
  const issues = await issuesOf(
    withSink('url: http://store\n__proto__: { polluted: true }\nconstructor: 1\nprototype: 2'),
  );
  expect(issues).toEqual([
    '9:5 sinks.out.__proto__: no key may have this name; remove it',
    '10:5 sinks.out.constructor: no key may have this name; remove it',
    '11:5 sinks.out.prototype: no key may have this name; remove it',
  ]);
  expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  expect(await issuesOf(`__proto__:\n  data_dir: x\n${ok}`)).toEqual([
    '1:1 __proto__: no key may have this name; remove it',
  ]);
});

it('takes other names of Object.prototype as any key that is unknown', async () => {
  expect(await issuesOf(withSink('url: http://store\ntoString: 1\nhasOwnProperty: 2'))).toMatchObject([
    expect.stringContaining('9:5 sinks.out.toString: a sink of type "store" has no such key'),
    expect.stringContaining('10:5 sinks.out.hasOwnProperty: a sink of type "store" has no such key'),
  ]);
});

it('takes files as other systems write them', async () => {
  const { settings } = await load(`\uFEFF${ok.replaceAll('\n', '\r\n')}\r\n...\r\n`);
  expect(settings.sinks[0]?.options).toMatchObject({ url: 'http://store' });
  expect(
    (
      await load(
        JSON.stringify({
          data_dir: 'd',
          sources: { a: { type: 'stdin' } },
          sinks: { b: { type: 'console', inputs: ['a'] } },
        }),
      )
    ).settings.sinks,
  ).toHaveLength(1);
});

it('refuses keys that are no text', async () => {
  expect(await issuesOf(`? [a]\n: 1\n${ok}`)).toEqual(['1:3 : a key is plain text']);
  expect(await issuesOf(`~: 1\n${ok}`)).toEqual(['1:1 : a key is plain text']);
});

it('reads keys as they are written, never as numbers', async () => {
  expect(await issuesOf(`0x10: 1\n${ok}`)).toMatchObject([
    expect.stringContaining('1:1 0x10: a config has no such key'),
  ]);
});

it('refuses tags and merge keys', async () => {
  expect(await issuesOf(withSink('url: !!str http://store\nmode: !mine append'))).toEqual([
    '8:16 sinks.out.url: tags such as !!str are not understood; put text in quotes',
    '9:17 sinks.out.mode: tags such as !!str are not understood; put text in quotes',
  ]);
  expect(await issuesOf(withSink('url: http://store\nmode: !x!y append'))).toEqual([
    '9:11 : tags such as !!str are not understood; put text in quotes',
  ]);
  expect(await issuesOf(withSink('url: http://store\n<<: { mode: append }'))).toEqual([
    '9:5 sinks.out.<<: merge keys are not understood; write the keys out',
  ]);
});

it('follows aliases', async () => {
  const text = withSink('url: &where http://store\ntags: [&word a, *word, *where]');
  expect((await load(text)).settings.sinks[0]?.options).toMatchObject({ tags: ['a', 'a', 'http://store'] });
});

it('takes the last anchor of a name, as YAML does', async () => {
  const text = withSink('url: http://store\ntags: [&a one, *a, &a two, *a]');
  expect((await load(text)).settings.sinks[0]?.options).toMatchObject({ tags: ['one', 'one', 'two', 'two'] });
});

it('refuses an alias of nothing, of what comes later, and of what it stands in', async () => {
  expect(await issuesOf(withSink('url: *nothing'))).toEqual([
    '8:10 sinks.out.url: the alias *nothing names no anchor above it',
  ]);
  expect(await issuesOf(withSink('url: *later\ntags: [&later a]'))).toEqual([
    '8:10 sinks.out.url: the alias *later names no anchor above it',
  ]);
  expect(await issuesOf(withSink('url: http://store\ntags: &loop [*loop]'))).toEqual([
    '9:18 sinks.out.tags[0]: the alias *loop names what it stands in',
  ]);
});

it('stops aliases of aliases before they fill the memory', async () => {
  const rows = ['a0: &a0 [x, x, x, x, x, x, x, x, x, x]'];
  for (let row = 1; row < 30; row += 1)
    rows.push(
      `a${row}: &a${row} [${Array(10)
        .fill(`*a${row - 1}`)
        .join(', ')}]`,
    );
  const issues = await issuesOf(`${rows.join('\n')}\n${ok}`);
  expect(issues.some((issue) => issue.includes('aliases stand for more than 10000 values up to here'))).toBe(true);
});

it('refuses what is nested without end', async () => {
  const deep = withSink(`url: http://store\ntags: ${'['.repeat(80)}${']'.repeat(80)}`);
  expect(await issuesOf(deep)).toContainEqual(expect.stringContaining('nested deeper than 64 levels'));
  expect((await issuesOf(`a: ${'['.repeat(100_000)}`)).length).toBeGreaterThan(0);
});

it('reads a megabyte of config in reasonable time', async () => {
  const rows = (count: number, row: (index: number) => string): string[] =>
    Array.from({ length: count }, (_, i) => row(i));
  const text = [
    'data_dir: d',
    'sources:',
    ...rows(500, (index) => `  source-${index}: { type: generate, rate: ${index + 1} }`),
    'sinks:',
    ...rows(
      1_000,
      (index) => `  sink-${index}: { type: store, inputs: ["*"], url: "http://store-${index}", tags: [a, b] }`,
    ),
    ...rows(9_000, (index) => `# ${index} ${'x'.repeat(100)}`),
  ].join('\n');
  expect(text.length).toBeGreaterThan(1_000_000);
  const before = process.cpuUsage();
  const { settings } = await load(text);
  const { user } = process.cpuUsage(before); // Not the time on the wall: others may be at work here, too.
  expect(settings.sinks).toHaveLength(1_000);
  expect(user / 1e6).toBeLessThan(8);
});

it('finds a key that stands twice among many without comparing each with each', async () => {
  const keys = Array.from({ length: 20_000 }, (_, index) => `  key-${index}: 1`);
  const before = process.cpuUsage();
  const issues = await issuesOf(['unknown:', ...keys, '  key-7: 1'].join('\n'));
  expect(issues).toContain('20002:3 unknown.key-7: the key stands twice; it is also on line 9');
  expect(process.cpuUsage(before).user / 1e6).toBeLessThan(8);
});
