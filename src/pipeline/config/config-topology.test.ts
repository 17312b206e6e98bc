import { describe, expect, it } from 'vitest';
import { brief, issuesOf, load } from '../../../test/config-rig.ts';

const head =
  'data_dir: d\nsources:\n  app-logs: { type: stdin }\n  app-spans: { type: stdin }\n  other: { type: generate }\n';
const store = 'type: store, url: "http://store"';
const sinks = (...rows: readonly string[]): string => `${head}sinks:\n${rows.map((row) => `  ${row}`).join('\n')}`;

describe('inputs', () => {
  it.each([
    ['[app-logs]', ['app-logs']],
    ['app-logs', ['app-logs']],
    ['["*"]', ['app-logs', 'app-spans', 'other']],
    ['["app-*"]', ['app-logs', 'app-spans']],
    ['["*-s*s", other]', ['app-spans', 'other']],
    ['[other, app-logs, other]', ['other', 'app-logs']],
  ])('%s are sources', async (inputs, expected) => {
    const { settings } = await load(sinks(`out: { ${store}, inputs: ${inputs} }`));
    expect(settings.sinks[0]?.inputs).toEqual(expected);
  });

  it.each([
    ['[app-log]', '7:53 sinks.out.inputs[0]: there is no source "app-log"; did you mean "app-logs"?'],
    ['zzz', '7:52 sinks.out.inputs: there is no source "zzz"'],
    ['[out]', '7:53 sinks.out.inputs[0]: "out" is a sink; expected a source'],
    ['["z*"]', '7:53 sinks.out.inputs[0]: "z*" matches no source'],
    ['[]', '7:52 sinks.out.inputs: expected at least one source; found an empty list'],
    ['[[a]]', '7:53 sinks.out.inputs[0]: expected the id of a source; found a list'],
    [
      '[app-logs.traces]',
      '7:53 sinks.out.inputs[0]: sources have one output for all signals; expected "app-logs" in place of ' +
        '"app-logs.traces"',
    ],
  ])('%s are not', async (inputs, expected) => {
    expect(await issuesOf(sinks(`out: { ${store}, inputs: ${inputs} }`))).toEqual([expected]);
  });

  it('are needed', async () => {
    expect(await issuesOf(sinks(`out: { ${store} }`))).toEqual([
      '7:3 sinks.out: the key "inputs" is missing; expected a list of sources',
    ]);
  });

  it('that have errors of their own are there all the same', async () => {
    const text = sinks(`out: { ${store}, inputs: [other] }`).replace('type: generate', 'type: generate, rate: x');
    expect(await issuesOf(text)).toEqual(['5:34 sources.other.rate: expected a number; found "x"']);
  });
});

describe('ids', () => {
  it.each(['A', '-a', 'a.b', 'a b', '""', `a${'b'.repeat(63)}`])('%s is none', async (id) => {
    const [issue] = await issuesOf(sinks(`${id}: { ${store}, inputs: ["*"] }`));
    expect(issue).toContain('expected an id of lower-case letters, digits, - and _, at most 63');
    expect(issue).toMatch(/^7:3 /);
  });

  it.each(['a', '0', 'a-b_c', `a${'b'.repeat(62)}`])('%s is one', async (id) => {
    const { settings } = await load(sinks(`${id}: { ${store}, inputs: ["*"] }`));
    expect(settings.sinks[0]?.id).toBe(id);
  });

  it('are given once, in all sections', async () => {
    expect(
      await issuesOf(`buffers: { other: {} }\n${sinks(`app-logs: { ${store}, inputs: ["*"], buffer: other }`)}`),
    ).toEqual([
      '1:12 buffers.other: the id is taken: "sources" has one on line 6; ids are given once',
      '8:3 sinks.app-logs: the id is taken: "sources" has one on line 4; ids are given once',
    ]);
  });
});

describe('sections', () => {
  it('with components are needed', async () => {
    expect(await issuesOf('data_dir: d')).toEqual([
      '1:1 sources: there are no sources; expected at least one under "sources"',
      '1:1 sinks: there are no sinks; expected at least one under "sinks"',
    ]);
    expect(await issuesOf('data_dir: d\nsources:\nsinks: {}')).toEqual([
      '2:1 sources: there are no sources; expected at least one under "sources"',
      '3:1 sinks: there are no sinks; expected at least one',
    ]);
    expect(await issuesOf('data_dir: d\nsources: [a]\nsinks: 5')).toEqual([
      '2:10 sources: expected a map from ids to sources; found a list',
      '3:8 sinks: expected a map from ids to sinks; found 5',
    ]);
  });

  it('hold maps with a type', async () => {
    expect(
      await issuesOf('data_dir: d\nsources:\n  a: stdin\n  b:\n  c: {}\nsinks: { d: { type: 5, inputs: c } }'),
    ).toEqual([
      '3:6 sources.a: expected the options of a source; found "stdin"',
      '4:5 sources.b: expected the options of a source; found nothing',
      '5:3 sources.c: the key "type" is missing; expected the type of the source, generate, stdin or a plugin',
      '6:21 sinks.d.type: expected the type of the sink, console, store or a plugin; found 5',
    ]);
  });
});

describe('a buffer', () => {
  it('that does not exist is suggested', async () => {
    const text = `buffers: { shelf: {} }\n${sinks(`out: { ${store}, inputs: ["*"], buffer: shelv }`)}`;
    expect(await issuesOf(text)).toEqual([
      '8:67 sinks.out.buffer: there is no buffer "shelv" under "buffers"; did you mean "shelf"?',
    ]);
  });

  it('is shared by sinks with the same inputs only: each gets everything in it', async () => {
    const text = `buffers: { shelf: {} }\n${sinks(
      `one: { ${store}, inputs: [app-logs, other], buffer: shelf }`,
      `two: { ${store}, inputs: [other, app-logs], buffer: shelf }`,
      `three: { ${store}, inputs: [other], buffer: shelf }`,
    )}`;
    expect(await issuesOf(text)).toEqual([
      '10:46 sinks.three.inputs: the sinks of the buffer "shelf" all get everything in it, so they have the ' +
        'same inputs; "one" has app-logs, other, this one other; give it a buffer of its own',
    ]);
  });

  it('feeds at most 32 sinks', async () => {
    const rows = Array.from({ length: 33 }, (_, index) => `s${index}: { ${store}, inputs: ["*"], buffer: shelf }`);
    expect(await issuesOf(`buffers: { shelf: {} }\n${sinks(...rows)}`)).toEqual([
      '8:58 sinks.s0.buffer: expected at most 32 sinks on the buffer "shelf"; found 33',
    ]);
  });

  it('in memory cannot keep what acknowledgements promise', async () => {
    const text = sinks(
      `one: { ${store}, inputs: ["*"], acknowledgements: true, buffer: { type: memory } }`,
      `two: { ${store}, inputs: ["*"], acknowledgements: { enabled: true }, buffer: [{ type: memory, ` +
        `when_full: overflow }, {}] }`,
      `three: { ${store}, inputs: ["*"], acknowledgements: true }`,
      `four: { ${store}, inputs: ["*"], acknowledgements: false, buffer: { type: memory } }`,
    );
    const message =
      'acknowledgements are asked for, but the buffer forgets what it holds when the process ends: it is a buffer of ' +
      'type "memory"; use "type: disk", or leave "acknowledgements" out';
    expect(await issuesOf(text)).toEqual([
      `7:59 sinks.one.acknowledgements: ${message}`,
      `8:59 sinks.two.acknowledgements: ${message}`,
    ]);
    const all = `acknowledgements: true\n${sinks(`one: { ${store}, inputs: ["*"], buffer: { type: memory } }`)}`;
    expect(await issuesOf(all)).toEqual([`8:3 sinks.one.acknowledgements: ${message}`]);
  });
});

it('dead letters have to go somewhere', async () => {
  expect(
    await issuesOf(sinks(`out: { ${store}, inputs: ["*"], on_blocked: dead_letter, dead_letters: false }`)),
  ).toEqual(['7:71 sinks.out.on_blocked: expected dead letters for "dead_letter" to go to; "dead_letters" is false']);
});

it('dead letters of two sinks are never in one file', async () => {
  const rows = ['one', 'two'].map((id) => `${id}: { ${store}, inputs: ["*"], dead_letters: { path: ./letters } }`);
  expect(await issuesOf(sinks(...rows))).toEqual([
    '8:81 sinks.two.dead_letters.path: the file holds the dead letters of "one"; expected one that is ' +
      "this sink's alone",
  ]);
});

it('warns of what nobody uses, and leaves it out', async () => {
  const text = `buffers: { shelf: {} }\n${sinks(`out: { ${store}, inputs: [other] }`)}`;
  const { settings, warnings } = await load(text);
  expect(warnings.map(brief)).toEqual([
    '1:12 buffers.shelf: no sink reads the buffer "shelf"; it is not opened',
    '4:3 sources.app-logs: no sink has "app-logs" among its inputs; it is not started',
    '5:3 sources.app-spans: no sink has "app-spans" among its inputs; it is not started',
  ]);
  expect(settings.sources.map(({ id }) => id)).toEqual(['other']);
  expect(settings.buffers.map(({ id }) => id)).toEqual(['out']);
});
