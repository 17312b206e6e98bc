import { describe, expect, it } from 'vitest';
import { hostFilesOf, issuesOf, load, refusal, stubBuiltins, withSink } from '../../../test/config-rig.ts';
import { ConfigError } from '../../base/errors.ts';
import { defineSink } from '../contract/definition.ts';
import { z } from '../contract/index.ts';
import { address, byteSize, secret } from '../contract/values.ts';

const sink = (lines: string): string => withSink(`url: http://store\n${lines}`);

describe('a value that does not fit', () => {
  it.each([
    [
      'mode: appendd',
      '9:11 sinks.out.mode: expected one of "append", "replace"; found "appendd"; did you mean "append"?',
    ],
    ['mode: 1', '9:11 sinks.out.mode: expected one of "append", "replace"; found 1'],
    ['mode:', '9:10 sinks.out.mode: expected one of "append", "replace"; found nothing'],
    ['every_secs: soon', '9:17 sinks.out.every_secs: expected a number of seconds; found "soon"'],
    ['every_secs: -1', '9:17 sinks.out.every_secs: expected at least 0; found -1'],
    ['every_secs: .inf', '9:17 sinks.out.every_secs: expected a number of seconds; found Infinity'],
    ['password:', '9:14 sinks.out.password: expected text; found nothing'],
    ['tags: a', '9:11 sinks.out.tags: expected a list; found "a"; a list of one stands in [ ], too'],
    ['tags: [a, 1, c]', '9:15 sinks.out.tags[1]: expected text; found 1; put it in quotes'],
    ['tags: { a: 1 }', '9:11 sinks.out.tags: expected a list; found a map'],
    ['auth: []', '9:11 sinks.out.auth: expected a map with token; found an empty list'],
    [
      'auth: {}',
      '9:5 sinks.out.auth.token: the key "token" is missing; expected text, or the key "token_file" (The token)',
    ],
    ['start_at: latest', '9:15 sinks.out.start_at: expected one of "oldest", "newest"; found "latest"'],
    ['batch: { max_events: 0 }', '9:26 sinks.out.batch.max_events: expected at least 1; found 0'],
    ['batch: { max_events: 1.5 }', '9:26 sinks.out.batch.max_events: expected a whole number; found 1.5'],
    ['healthcheck: yes', '9:18 sinks.out.healthcheck: expected true or false or a map; found "yes"'],
    [
      'healthcheck: { enabled: on }',
      '9:29 sinks.out.healthcheck.enabled: expected true or false; found "on"; YAML 1.2 knows true and false only',
    ],
    [
      'dead_letters: { max_size: 5 }',
      '9:31 sinks.out.dead_letters.max_size: expected a size such as 256MiB or a whole number of bytes, at ' +
        'least 4096; found 5',
    ],
    ['batch: 5', '9:12 sinks.out.batch: expected a map with max_bytes, max_events, timeout_secs; found 5'],
    ['request: { concurrency: 0 }', '9:29 sinks.out.request.concurrency: expected at least 1; found 0'],
    ['request: { concurrency: many }', '9:29 sinks.out.request.concurrency: expected "none" or a number; found "many"'],
    ['request: { retry_attempts: 1.5 }', '9:32 sinks.out.request.retry_attempts: expected a whole number; found 1.5'],
    [
      'request: { headers: { "a b": c } }',
      '9:27 sinks.out.request.headers.a b: the key cannot be called "a b": expected the name of an HTTP header',
    ],
    [
      'request: { headers: { a: "{{ level }}" } }',
      '9:30 sinks.out.request.headers.a: templates such as {{ field }} are not filled in; expected plain text',
    ],
    ['type: store', '9:5 sinks.out.type: the key stands twice; it is also on line 6'],
  ])('%s', async (line, expected) => {
    expect(await issuesOf(sink(line))).toEqual([expected]);
  });

  it('is said of the top, too', async () => {
    const text = `health: 8686\nshutdown_timeout_secs: fast\n${sink('tags: []')}`.replace('data_dir: ./data\n', '');
    expect(await issuesOf(text)).toEqual([
      '1:1 data_dir: the key "data_dir" is missing; expected a path (The directory of all buffers and ' +
        'of what sources remember)',
      '1:9 health: expected a map with address; found 8686',
      '2:24 shutdown_timeout_secs: expected a number of seconds; found "fast"',
    ]);
  });

  it('of a plugin with its own words keeps them, and says what was found', async () => {
    const schema = z.strictObject({
      listen: address(),
      size: byteSize({ min: 10 }),
      pair: z.tuple([z.string(), z.number()]),
    });
    const own = defineSink({ type: 'own', schema, create: () => Promise.reject(new Error('not made')) });
    const builtins = { ...stubBuiltins, sinks: [own] };
    expect(await issuesOf(withSink('listen: nowhere\nsize: 5 apples\npair: [a, b]', 'own'), { builtins })).toEqual([
      '8:13 sinks.out.listen: expected host:port such as 127.0.0.1:4318 or [::1]:4318; found "nowhere"',
      '9:11 sinks.out.size: expected a size such as 256MiB or a whole number of bytes, at least 10; found "5 apples"',
      '10:15 sinks.out.pair[1]: expected a number; found "b"',
    ]);
  });

  it('of a choice is told by the branch that it was meant for', async () => {
    const schema = z.strictObject({
      auth: z.discriminatedUnion('kind', [
        z.strictObject({ kind: z.literal('basic'), user: z.string(), password: secret() }),
        z.strictObject({ kind: z.literal('bearer'), token: secret() }),
      ]),
    });
    const own = defineSink({ type: 'own', schema, create: () => Promise.reject(new Error('not made')) });
    const builtins = { ...stubBuiltins, sinks: [own] };
    expect(await issuesOf(withSink('auth: { kind: basic, user: 5 }', 'own'), { builtins })).toEqual([
      '8:5 sinks.out.auth.password: the key "password" is missing; expected text, or the key "password_file"',
      '8:32 sinks.out.auth.user: expected text; found 5; put it in quotes',
    ]);
    expect(await issuesOf(withSink('auth: { kind: beare }', 'own'), { builtins })).toEqual([
      '8:19 sinks.out.auth.kind: expected one of "basic", "bearer"; found "beare"; did you mean "bearer"?',
    ]);
  });
});

describe('a key that nobody knows', () => {
  it.each([
    ['batc: {}', '"batch"'],
    ['Mode: append', '"mode"'],
    ['everySecs: 1', '"every_secs"'],
    ['pasword: x', '"password"'],
    ['acknowledgments: true', '"acknowledgements"'],
  ])('%s is met with a suggestion, from the plugin or from what all have', async (line, meant) => {
    const [issue] = await issuesOf(sink(line));
    expect(issue).toBe(
      `9:5 sinks.out.${line.split(':')[0]}: a sink of type "store" has no such key; did you mean ${meant}?`,
    );
  });

  it('that is like none is met with all that are known', async () => {
    expect(await issuesOf(sink('auth: { zzzzzz: 1, token: a }'))).toEqual([
      '9:13 sinks.out.auth.zzzzzz: "auth" has no such key; it has token',
    ]);
  });

  it('is not passed over by a schema that is not strict', async () => {
    const schema = z.object({
      topic: z.string().optional(),
      tls: z.object({ verify: z.boolean() }).optional(),
      labels: z.record(z.string(), z.string()).optional(),
      rest: z.looseObject({}).optional(),
      any: z.unknown().optional(),
    });
    const own = defineSink({ type: 'own', schema, create: () => Promise.reject(new Error('not made')) });
    const builtins = { ...stubBuiltins, sinks: [own] };
    const lines = 'topc: a\ntls: { verify: true, verfy: 1 }\nlabels: { x: y }\nrest: { x: y }\nany: { x: { z: 1 } }';
    expect(await issuesOf(withSink(lines, 'own'), { builtins })).toEqual([
      '8:5 sinks.out.topc: a sink of type "own" has no such key; did you mean "topic"?',
      '9:26 sinks.out.tls.verfy: "tls" has no such key; did you mean "verify"?',
    ]);
  });

  it("that is Vector's is refused by its name, with the reason", async () => {
    const adaptive = 'request: { adaptive_concurrency: { initial_concurrency: 2 } }';
    const lines = `proxy: {}\n${adaptive}\nhealthcheck: { uri: http://x }`;
    const issues = await issuesOf(`api: { enabled: true }\n${sink(lines)}`);
    expect(issues).toEqual([
      '1:1 api: Vector\'s key is not understood here: there is no GraphQL API; use "health: { address }"',
      "10:5 sinks.out.proxy: Vector's key is not understood here: sinks do not go through proxies; remove it",
      "11:16 sinks.out.request.adaptive_concurrency: Vector's key is not understood here: there is no " +
        'adaptive concurrency; give "request.concurrency" a number',
      "12:20 sinks.out.healthcheck.uri: Vector's key is not understood here: a sink asks the peer that it " +
        'sends to; use "healthcheck: { enabled }"',
    ]);
  });

  it("that is Vector's and the plugin's own is the plugin's", async () => {
    const own = defineSink({
      type: 'own',
      schema: z.strictObject({ proxy: z.string() }),
      create: () => Promise.reject(new Error('not made')),
    });
    const { settings } = await load(withSink('proxy: http://proxy', 'own'), {
      builtins: { ...stubBuiltins, sinks: [own] },
    });
    expect(settings.sinks[0]?.options).toEqual({ proxy: 'http://proxy' });
  });
});

describe('the error', () => {
  it('has a code, a message with all issues, and no more than can be read', async () => {
    const one = await refusal(sink('mode: x'));
    expect(one.code).toBe('SPILLWAY_CONFIG_INVALID');
    expect(one.message).toBe(
      'The config pipeline.yaml has an error; nothing was started:\n' +
        '  pipeline.yaml:9:11 sinks.out.mode: expected one of "append", "replace"; found "x"',
    );
    const many = await refusal(sink(Array.from({ length: 80 }, (_, index) => `unknown_${index}: 1`).join('\n')));
    expect(many.issues).toHaveLength(80);
    expect(many.message.split('\n')).toHaveLength(52);
    expect(many.message).toContain('\n  and 30 more');
  });

  it('is another one where the file cannot be read', async () => {
    const read = (disk: Readonly<Record<string, string | undefined>>): Promise<unknown> =>
      import('./load-settings.ts')
        .then(({ loadSettings }) => loadSettings({ file: '/etc/spillway/a.yaml', env: {}, files: hostFilesOf(disk) }))
        .then(
          () => undefined,
          (error: unknown) => error,
        );
    const missing = await read({});
    expect(missing).toBeInstanceOf(ConfigError);
    expect(missing).toMatchObject({ code: 'SPILLWAY_CONFIG_UNREADABLE', issues: [] });
    expect(String(missing)).toContain('Reading the config /etc/spillway/a.yaml failed: there is no such file.');
    const denied = await read({ '/etc/spillway/a.yaml': undefined });
    expect(denied).toMatchObject({ code: 'SPILLWAY_CONFIG_UNREADABLE', cause: expect.any(Error) });
    expect(String(denied)).toContain('EACCES');
  });

  it('hides text that stands where a map with a secret was expected, and shows a switch', async () => {
    expect(await issuesOf(withSink('url: http://a\nauth: hunter2'))).toEqual([
      '9:11 sinks.out.auth: expected a map with token; found <secret>',
    ]);
    expect(await issuesOf(withSink('url: http://a\nauth: true'))).toEqual([
      '9:11 sinks.out.auth: expected a map with token; found true',
    ]);
  });

  it('comes to an end with a schema that holds itself', async () => {
    const node: z.ZodType = z.strictObject({
      leaf: z.string().optional(),
      get inner() {
        return node.optional();
      },
    });
    const own = defineSink({ type: 'own', schema: node, create: () => Promise.reject(new Error('not made')) });
    const builtins = { ...stubBuiltins, sinks: [own] };
    expect(await issuesOf(withSink('inner: { inner: 5 }\nlaef: 1\nzzz: 1', 'own'), { builtins })).toEqual([
      '8:21 sinks.out.inner.inner: expected a map with inner, leaf; found 5',
      '9:5 sinks.out.laef: a sink of type "own" has no such key; did you mean "leaf"?',
      '10:5 sinks.out.zzz: a sink of type "own" has no such key; it has inner, leaf, and what all sinks have',
    ]);
  });

  it('names a schema that throws, and not what it threw about', async () => {
    const schema = z.strictObject({ password: secret() }).refine(({ password }) => {
      throw new Error(`cannot use ${password}`);
    });
    const own = defineSink({ type: 'own', schema, create: () => Promise.reject(new Error('not made')) });
    const error = await refusal(withSink('password: hunter2', 'own'), { builtins: { ...stubBuiltins, sinks: [own] } });
    expect(error.message).toContain('the schema of a sink of type "own" failed: cannot use <secret>');
    expect(error.message).not.toContain('hunter2');
  });
});
