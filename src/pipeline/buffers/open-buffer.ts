// Opens a buffer of the config: by its definition, or as a chain if there are several stages.

import type { BufferContext, PipelineBuffer } from '../contract/buffer.ts';
import type { BufferSettings } from '../contract/settings.ts';

/** Rejects as the definition's `open` does. */
export async function openBuffer({ stages }: BufferSettings, context: BufferContext): Promise<PipelineBuffer> {
  const [only] = stages;
  if (only === undefined || stages.length > 1) throw new Error('an overflow chain is not ready');
  return await only.definition.open(only.options as never, context);
}
