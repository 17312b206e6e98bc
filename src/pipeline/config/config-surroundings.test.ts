import { describe, expect, it } from 'vitest';
import { brief, issuesOf, load, stubBuiltins } from '../../../test/config-rig.ts';
import { builtinBuffers, builtinSinks, builtinSources } from '../builtins.ts';
import { defineSink, type SinkDefinition, type SinkSurroundings } from '../contract/definition.ts';
import { z } from '../contract/index.ts';
import { secret } from '../contract/values.ts';

const seen: SinkSurroundings<unknown>[] = [];

const lines: SinkDefinition = defineSink({
  type: 'lines',
  schema: z.strictObject({ token: secret().optional(), to: z.strictObject({ host: z.string() }).optional() }),
  signals: () => ['logs'],
  check: ({ token, to }, surroundings) => {
    seen.push(surroundings);
    if (to?.host === 'throws') throw new TypeError(`no ${token}`);
    return to === undefined ? [] : [{ path: ['to', 'host'], message: `${to.host} and ${token} do not fit` }];
  },
  create: stubBuiltins.sinks[0]?.create as never,
});

const builtins = { sources: builtinSources, buffers: builtinBuffers, sinks: [...builtinSinks, lines] };

async function told(text: string): Promise<string[]> {
  const given = { builtins };
  try {
    return (await load(text, given)).warnings.map(brief);
  } catch {
    return await issuesOf(text, given);
  }
}

function config(sources: string, ...sinks: readonly string[]): string {
  return ['data_dir: d', `sources: { ${sources} }`, 'sinks:', ...sinks.map((sink) => `  ${sink}`)].join('\n');
}

const metrics = 'made: { type: generate, signals: [metrics] }';
const apps = 'apps: { type: otlp }';

describe('a sink that does not take all signals', () => {
  it('is an error where nothing that it takes will ever come', async () => {
    expect(await told(config(metrics, 'out: { type: lines, inputs: [made] }'))).toEqual([
      '4:31 sinks.out.inputs: a sink of type "lines" takes logs, and none will ever come: metrics from "made"; give ' +
        'it another source',
    ]);
  });

  it('is worth a warning where a part will be rejected', async () => {
    expect(await told(config(`${apps}, ${metrics}`, 'out: { type: lines, inputs: ["*"] }'))).toEqual([
      '4:31 sinks.out.inputs: a sink of type "lines" takes logs only, and rejects what else comes: traces and ' +
        'metrics from "apps"; metrics from "made"; a source that makes nothing else has "signals: [logs]"',
    ]);
  });

  it('is right where only those come', async () => {
    const sources = 'a: { type: stdin }, b: { type: otlp, signals: [logs] }, c: { type: generate, signals: [logs] }';
    expect(await told(config(sources, 'out: { type: lines, inputs: ["*"] }'))).toEqual([]);
  });

  it('may be one by its options', async () => {
    const sink = 'out: { type: otlp, inputs: [in], traces_endpoint: "http://a:1/v1/traces" }';
    expect(await told(config('in: { type: stdin }', sink))).toEqual([
      expect.stringContaining('takes traces, and none will ever come: logs from "in"'),
    ]);
  });

  it('is judged by what is known only', async () => {
    const text = config('a: { type: ./a.ts }', 'out: { type: lines, inputs: [a] }');
    const { warnings } = await load(text, { builtins, plugins: 'skip' });
    expect(warnings.map(brief)).toEqual([expect.stringContaining('as plugins are not loaded')]);
    expect(await told(config('a: { type: otlp, sgnals: [] }', 'out: { type: lines, inputs: [a] }'))).toEqual([
      expect.stringContaining('did you mean "signals"?'),
    ]);
  });
});

describe('a check', () => {
  it('is told of the buffer, of what comes, and of those of its type before it', async () => {
    seen.length = 0;
    const text = config(
      `${apps}, log: { type: stdin }`,
      'one: { type: lines, inputs: [log], buffer: { type: memory } }',
      'two: { type: lines, inputs: [apps] }',
      'six: { type: lines, inputs: [log], buffer: [{ type: memory, when_full: overflow }, {}] }',
    );
    await told(text);
    const one = { buffer: { id: 'one', isDurable: false }, signals: ['logs'] };
    const two = { ...one, buffer: { id: 'two', isDurable: true } };
    const first = { id: 'one', options: {}, ...one };
    expect(seen).toEqual([
      { ...one, earlier: [] },
      { ...two, earlier: [first] },
      { ...one, buffer: { id: 'six', isDurable: false }, earlier: [first, { id: 'two', options: {}, ...two }] },
    ]);
  });

  it('is shown with its place and without secrets, also where it fails', async () => {
    const sink = (host: string) => `out: { type: lines, inputs: [in], token: pa55, to: { host: ${host} } }`;
    expect(await told(config('in: { type: stdin }', sink('h')))).toEqual([
      '4:62 sinks.out.to.host: h and <secret> do not fit',
    ]);
    expect(await told(config('in: { type: stdin }', sink('throws')))).toEqual([
      '4:3 sinks.out: the check of a sink of type "lines" failed: no <secret>',
    ]);
  });
});

describe('a definition that does not answer as it should', () => {
  const toldOf = async (given: object): Promise<string[]> => {
    const odd = { ...lines, type: 'odd', ...given } as SinkDefinition;
    const text = config('in: { type: otlp }', 'out: { type: odd, inputs: [in] }');
    return await issuesOf(text, { builtins: { ...builtins, sinks: [...builtins.sinks, odd] } });
  };

  it.each([
    async () => [],
    async () => Promise.reject(new Error('later')),
    () => 'wrong',
    () => [{ message: 'wrong' }],
    () => [{ path: ['to'], message: 1 }],
    () => [undefined],
  ])('check: %s', async (check) => {
    expect(await toldOf({ check })).toEqual([
      '4:3 sinks.out: the check of a sink of type "odd" failed: it should give a list of { path, message }, at once',
    ]);
  });

  it.each([async () => ['logs'], () => 'logs', () => ['log']])('signals: %s', async (signals) => {
    expect(await toldOf({ signals, check: undefined })).toEqual([
      '4:3 sinks.out: the check of a sink of type "odd" failed: its signals should be a list of logs, traces, metrics',
    ]);
  });
});

describe('what two parts cannot share', () => {
  const file = (id: string, path: string) => `${id}: { type: file, inputs: [in], path: ${path} }`;

  it('is a file', async () => {
    expect(await told(config('in: { type: stdin }', file('a', './x'), file('b', 'y/../x')))).toEqual([
      '5:40 sinks.b.path: "a" writes to it, too; expected a path that is this sink\'s alone',
    ]);
    expect(await told(config('in: { type: stdin }', file('a', './x'), file('b', './y')))).toEqual([]);
    const bySignal = [
      'a: { type: file, inputs: [in], path: "{signal}" }',
      'b: { type: file, inputs: [m], path: "{signal}" }',
    ];
    const sources = (signal: string) => `in: { type: stdin }, m: { type: generate, signals: [${signal}] }`;
    expect(await told(config(sources('metrics'), ...bySignal))).toEqual([]);
    expect(await told(config(sources('logs, metrics'), ...bySignal))).toHaveLength(1);
  });

  it('is an address', async () => {
    const out = 'out: { type: blackhole, inputs: [a, b] }';
    const two = (port: number) => `a: { type: otlp }, b: { type: otlp, address: "127.0.0.1:${port}" }`;
    expect(await told(config(two(4318), out))).toEqual([
      '2:57 sources.b.address: "a" listens there, too; expected an address that is this source\'s alone, such as ' +
        'another port',
    ]);
    expect(await told(config(two(4319), out))).toEqual([]);
    expect(await told(`health: { address: "127.0.0.1:4319" }\n${config(two(4319), out)}`)).toEqual([
      expect.stringContaining('sources.b.address: health listens there, too'),
    ]);
    expect(await told(config(two(4318), 'out: { type: blackhole, inputs: [b] }'))).toEqual([
      expect.stringContaining('no sink has "a" among its inputs; it is not started'),
    ]);
  });

  it('is the standard input', async () => {
    const text = config('a: { type: stdin }, b: { type: stdin }', 'out: { type: blackhole, inputs: ["*"] }');
    expect(await told(text)).toEqual([
      '2:43 sources.b.type: "a" reads the standard input already, of which each would get a part; expected one',
    ]);
  });
});
