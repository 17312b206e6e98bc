// Opens a buffer once, in a process that has done nothing else, as a restarted service does, and says how long it took.
import { DiskBuffer, type Durability } from '../../src/index.ts';
import { maxBytes } from './buffers.ts';
import { answer, taskOfThisProcess } from './children.ts';

export type OpeningTask = { readonly path: string; readonly durability: Durability };
export type Opening = {
  readonly openMs: number;
  /** Until a record appended first thing after it is durable: what was found must be written again before. */
  readonly firstCommitMs: number;
  readonly backlogBytes: number;
  readonly epoch: number;
};

const { path, durability } = taskOfThisProcess<OpeningTask>();
const start = performance.now();
const buffer = await DiskBuffer.open({ path, maxBytes, durability });
const opened = performance.now();
const { backlog, epoch } = buffer.stats();
await buffer.append(new Uint8Array(256));
await buffer.commit();
const committed = performance.now();
await buffer.close();
const opening: Opening = {
  openMs: opened - start,
  firstCommitMs: committed - start,
  backlogBytes: backlog.bytes,
  epoch,
};
await answer(opening);
process.disconnect();
