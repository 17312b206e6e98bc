// Opens a buffer of the config: by its definition, or as a chain if there are several stages.

import type { BufferContext, PipelineBuffer } from '../contract/buffer.ts';
import type { BufferSettings, BufferStageSettings } from '../contract/settings.ts';
import { OverflowBuffer } from './overflow-buffer.ts';

/** Whether its keys, and what is in it, outlive the process. In a chain the same event may have several keys. */
export function isDurableBuffer({ stages }: BufferSettings): boolean {
  return stages.length === 1 && stages[0]?.definition.isDurable === true;
}

/** Rejects as the definition's `open` does. */
export async function openBuffer({ stages }: BufferSettings, context: BufferContext): Promise<PipelineBuffer> {
  const [only] = stages;
  if (only === undefined || stages.length > 1) return await openOverflowBuffer(stages, context);
  return await only.definition.open(only.options as never, context);
}

/**
 * Opens a chain: all of its stages or none. The first that keeps something on disk has the directory of the buffer, so
 * that a buffer which gets memory in front of it finds what it had; further ones stand beside it, `<directory>.2`.
 */
export async function openOverflowBuffer(
  stages: readonly BufferStageSettings[],
  context: BufferContext,
): Promise<OverflowBuffer> {
  const opened: PipelineBuffer[] = [];
  let durable = 0;
  try {
    for (const { definition, options } of stages) {
      if (definition.isDurable) durable += 1;
      const directory = definition.isDurable && durable > 1 ? `${context.directory}.${durable}` : context.directory;
      opened.push(await definition.open(options as never, { ...context, directory }));
    }
    const { clock, random } = context.world;
    return new OverflowBuffer({ stages: opened, cursors: context.cursors, clock, random });
  } catch (cause) {
    await Promise.allSettled(opened.map((stage) => stage.close()));
    throw cause;
  }
}
