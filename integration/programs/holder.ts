// A process that opens a buffer and keeps it: node holder.ts <directory> <lockTimeoutMs>. It says `held` once it has
// the directory, or why it did not get it, and closes the buffer when its standard input ends.
import { writeSync } from 'node:fs';
import { DiskBuffer, isStorageError } from '../../src/index.ts';

const [path = '', lockTimeoutMs = '0'] = process.argv.slice(2);
const say = (line: string): number => writeSync(1, `${line}\n`);

say('opening');
try {
  const buffer = await DiskBuffer.open({ path, lockTimeoutMs: Number(lockTimeoutMs), maxBytes: 1024 * 1024 });
  const found = buffer.stats().backlog.events;
  await buffer.append(new Uint8Array(100));
  say(`held ${found}`);
  for await (const _ of process.stdin);
  await buffer.close();
  say('closed');
} catch (error) {
  say(isStorageError(error, 'locked') ? `locked: ${error.message}` : `failed: ${String(error)}`);
}
