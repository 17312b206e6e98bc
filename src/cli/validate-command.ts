// `spillway validate CONFIG` and `spillway schema`: is a config right, and what may be in one.

import { resolve } from 'node:path';
import { configJsonSchema } from '../pipeline/config/json-schema.ts';
import { loadSettings } from '../pipeline/config/load-settings.ts';
import { issueText } from './errors-text.ts';
import { type ExitCode, exitCodes } from './exit-codes.ts';
import type { Invocation } from './invocation.ts';
import { columns, countOf, styled } from './terminal.ts';

/** Rejects with the ConfigError that has all issues. */
export async function validate(
  config: string,
  { loadsPlugins, isJson }: { readonly loadsPlugins: boolean; readonly isJson: boolean },
  { terminal, world, env, workingDirectory }: Invocation,
): Promise<ExitCode> {
  const file = resolve(workingDirectory, config);
  const plugins = loadsPlugins ? 'load' : 'skip';
  const { settings, warnings, unchecked } = await loadSettings({ file, env, files: world.files, plugins });
  const { sources, buffers, sinks, dataDir } = settings;
  if (isJson) {
    const ids = { sources: idsOf(sources), buffers: idsOf(buffers), sinks: idsOf(sinks) };
    terminal.out.write(`${JSON.stringify({ valid: true, dataDir, ...ids, warnings, unchecked }, null, 2)}\n`);
    return exitCodes.done;
  }
  const parts = [
    countOf(sources.length, 'source'),
    countOf(buffers.length, 'buffer'),
    countOf(sinks.length, 'sink'),
  ].join(', ');
  const rows = sinks.map(({ id, inputs, buffer }) => [inputs.join(', '), '->', buffer, '->', id]);
  terminal.out.write(`${styled(terminal.out, 'green', 'valid')}: ${parts}; data in ${dataDir}\n${columns(rows)}`);
  if (unchecked.length > 0) terminal.out.write(`not checked, as no plugin was loaded: ${unchecked.join(', ')}\n`);
  for (const warning of warnings) terminal.out.write(`warning:\n${issueText(warning, terminal.out)}`);
  return exitCodes.done;
}

export function printSchema({ terminal }: Invocation): void {
  terminal.out.write(`${JSON.stringify(configJsonSchema(), null, 2)}\n`);
}

function idsOf(components: readonly { readonly id: string }[]): readonly string[] {
  return components.map(({ id }) => id);
}
