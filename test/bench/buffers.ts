// A buffer in a fresh directory for each measurement, and gone afterwards.
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { GiB } from '../../src/base/units.ts';
import { DiskBuffer, type DiskBufferOptions } from '../../src/index.ts';

/** Room enough that no benchmark waits for it. */
export const maxBytes: number = 64 * GiB;

/** Opens a buffer, runs `task` and takes everything away again. */
export async function withFreshBuffer<Result>(
  scratch: string,
  options: Omit<DiskBufferOptions, 'path'>,
  task: (buffer: DiskBuffer) => Promise<Result>,
): Promise<Result> {
  const path = mkdtempSync(join(scratch, 'buffer-'));
  try {
    const buffer = await DiskBuffer.open({ path, maxBytes, ...options });
    try {
      return await task(buffer);
    } finally {
      await buffer.close();
    }
  } finally {
    rmSync(path, { recursive: true, force: true });
  }
}
