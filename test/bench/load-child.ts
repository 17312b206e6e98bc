// Appends to a buffer as fast as it can until it is killed, or until it has appended enough. The parent hears when the
// load is on.
import { DiskBuffer, type Durability } from '../../src/index.ts';
import { maxBytes } from './buffers.ts';
import { answer, taskOfThisProcess } from './children.ts';
import { Records } from './records.ts';

export type LoadTask = {
  readonly path: string;
  readonly durability: Durability;
  /** Close in good order after so many payload bytes. Without it the load goes on until the kill. */
  readonly payloadBytes?: number;
};

const task = taskOfThisProcess<LoadTask>();
const buffer = await DiskBuffer.open({ path: task.path, maxBytes, durability: task.durability });
const records = new Records(1_024);
const count = Math.ceil((task.payloadBytes ?? Number.POSITIVE_INFINITY) / records.payloadBytes);
if (task.payloadBytes === undefined) await answer('loading');
while (records.sent < count) {
  if (buffer.tryAppend(records.next) === 'accepted') records.took();
  else await buffer.ready();
}
await buffer.close();
await answer('closed');
process.disconnect();
