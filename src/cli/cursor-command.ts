// `spillway cursor remove DIR NAME`: ends a cursor that no sink reads with any more, and frees what only it held.

import { resolve } from 'node:path';
import { UsageError } from '../base/errors.ts';
import { DiskBuffer } from '../engine/disk-buffer.ts';
import { type InspectedCursor, inspectBuffer } from '../engine/disk-buffer-inspection.ts';
import type { Invocation } from './invocation.ts';
import { bytesText, countOf } from './terminal.ts';

/** A pipeline that runs is not waited for: it would take for ever. */
const lockTimeoutMs = 1_000;

/** Without `isSure` it says what would be given up, and changes nothing. */
export async function removeCursor(
  directory: string,
  name: string,
  { isSure }: { readonly isSure: boolean },
  { terminal, world, workingDirectory }: Invocation,
): Promise<void> {
  const { fileSystem, random, clock } = world;
  const path = resolve(workingDirectory, directory);
  const { cursors } = await inspectBuffer({ path, fileSystem, random });
  const { backlog } = checkRemovable(path, name, cursors);
  const held = `${countOf(backlog.events, 'event')} (${bytesText(backlog.bytes)})`;
  if (!isSure) {
    terminal.out.write(
      `Cursor ${name} has ${held} not delivered. What other cursors have passed is deleted with it.\n` +
        'Nothing was changed. Say --yes to remove it.\n',
    );
    return;
  }
  const others = cursors.filter((cursor) => cursor.name !== name).map((cursor) => cursor.name);
  const buffer = await DiskBuffer.open({ path, cursors: others, lockTimeoutMs, fileSystem, random, clock });
  try {
    await buffer.removeCursor(name);
  } finally {
    await buffer.close();
  }
  terminal.out.write(`Cursor ${name} is removed; ${held} of it were not delivered.\n`);
}

function checkRemovable(path: string, name: string, cursors: readonly InspectedCursor[]): InspectedCursor {
  const cursor = cursors.find((each) => each.name === name);
  const names = cursors.map((each) => each.name).join(', ') || 'none';
  if (cursor === undefined) {
    throw new UsageError({
      code: 'SPILLWAY_USAGE_CURSOR',
      message: `Cannot remove the cursor ${name} of ${path}: there is no such cursor. There are: ${names}`,
    });
  }
  if (cursors.length > 1) return cursor;
  throw new UsageError({
    code: 'SPILLWAY_USAGE_CURSOR',
    message:
      `Cannot remove the cursor ${name} of ${path}: it is the only one, and a buffer without a cursor would forget ` +
      'everything. To give up all that is in there, remove the directory',
  });
}
