// For tests of configs: definitions that are only read, never made, and files that exist only here.
import { ConfigError, type ConfigIssue } from '../src/base/errors.ts';
import { type ConfigRequest, type LoadedConfig, loadSettings } from '../src/pipeline/config/load-settings.ts';
import { defineBuffer, defineSink, defineSource } from '../src/pipeline/contract/definition.ts';
import { z } from '../src/pipeline/contract/index.ts';
import { byteSize, seconds, secret } from '../src/pipeline/contract/values.ts';
import type { Builtins } from '../src/pipeline/plugins/plugin-loader.ts';
import type { HostFiles } from '../src/platform/host-files.ts';

const neverMade = (): never => {
  throw new Error('a config is checked without making anything');
};

const whenFull = z.enum(['block', 'drop_newest']).default('block').describe('What happens when it is full.');

export const stubBuiltins: Builtins = {
  sources: [
    defineSource({
      type: 'generate',
      schema: z.strictObject({ rate: z.number().positive().default(10).describe('Events in a second.') }),
      create: neverMade,
    }),
    defineSource({ type: 'stdin', schema: z.strictObject({}), create: neverMade }),
  ],
  buffers: [
    defineBuffer({
      type: 'disk',
      schema: z.strictObject({
        max_size: byteSize({ min: 2 ** 20 })
          .prefault('256MiB')
          .describe('Bytes on disk.'),
        when_full: whenFull,
      }),
      open: neverMade,
      isDurable: true,
    }),
    defineBuffer({
      type: 'memory',
      schema: z.strictObject({
        max_events: z.int().min(1).default(500).describe('Events in memory.'),
        max_size: byteSize({ min: 1 }).optional().describe('Bytes in memory.'),
        when_full: whenFull,
      }),
      open: neverMade,
      isDurable: false,
    }),
  ],
  sinks: [
    defineSink({
      type: 'console',
      schema: z.strictObject({ encoding: z.strictObject({ codec: z.enum(['json', 'text']) }).optional() }),
      create: neverMade,
    }),
    defineSink({
      type: 'store',
      schema: z.strictObject({
        url: z.url().describe('Where it is.'),
        mode: z.enum(['append', 'replace']).default('append').describe('How it writes.'),
        every_secs: seconds().default(5_000).describe('How often it looks.'),
        password: secret().optional().describe('The password.'),
        auth: z
          .strictObject({ token: secret().describe('The token.') })
          .optional()
          .describe('Who sends.'),
        tags: z.array(z.string()).default([]).describe('Words to send along.'),
      }),
      create: neverMade,
    }),
  ],
};

/** Files by their absolute path; `undefined` content: it cannot be read. */
export function hostFilesOf(texts: Readonly<Record<string, string | undefined>>): HostFiles {
  const readText = async (path: string): Promise<string | undefined> => {
    if (!Object.hasOwn(texts, path)) return undefined;
    const text = texts[path];
    if (text === undefined) throw new Error('EACCES: permission denied');
    return text;
  };
  const facts = async (path: string): Promise<object | undefined> => (Object.hasOwn(texts, path) ? {} : undefined);
  return { readText, facts } as unknown as HostFiles;
}

export type Given = Partial<Omit<ConfigRequest, 'files'>> & {
  readonly disk?: Readonly<Record<string, string | undefined>>;
};

export async function load(text: string, { disk = {}, ...given }: Given = {}): Promise<LoadedConfig> {
  return await loadSettings({
    file: 'pipeline.yaml',
    text,
    baseDirectory: '/etc/spillway',
    env: {},
    files: hostFilesOf(disk),
    builtins: stubBuiltins,
    ...given,
  });
}

/** The error that loading this rejects with. */
export async function refusal(text: string, given: Given = {}): Promise<ConfigError> {
  try {
    await load(text, given);
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error('the config was accepted');
}

/** `3:5 sinks.out: message`. */
export function brief({ line, column, path, message }: ConfigIssue): string {
  return `${line}:${column} ${path}: ${message}`;
}

export async function issuesOf(text: string, given: Given = {}): Promise<string[]> {
  return (await refusal(text, given)).issues.map(brief);
}

/** A config with one source and one sink, and these lines in the sink's block. */
export function withSink(lines: string, type = 'store'): string {
  return [
    'data_dir: ./data',
    'sources:',
    '  in: { type: stdin }',
    'sinks:',
    '  out:',
    `    type: ${type}`,
    '    inputs: [in]',
    ...lines.split('\n').map((line) => `    ${line}`),
  ].join('\n');
}
