// What goes wrong under a buffer: calls that fail for a while, and bytes that change. Whatever is damaged, the model is
// told which records lay there, so that it knows what may be missing and that everything else may not.

import { frameBytes, readFrame } from '../../engine/frame.ts';
import { ledgerSlotBytes } from '../../engine/ledger-slot.ts';
import {
  parseSegmentFileName,
  readSegmentHeader,
  segmentFileName,
  segmentHeaderBytes,
} from '../../engine/segment-header.ts';
import { type BufferWorld, directory } from './buffer-world.ts';
import type { FaultName } from './swarm.ts';

/** Ends all troubles that pass, and begins with a drawn choice of those that this run knows. */
export function changeFaults(world: BufferWorld): void {
  heal(world);
  const { random, swarm } = world;
  if (random.chance(0.5)) return;
  for (const fault of swarm.faults) if (random.chance(0.6)) begin(world, fault);
}

/** Calls succeed again. Damaged bytes stay damaged. */
export function heal({ disk }: BufferWorld): void {
  disk.heal();
  disk.capacityBytes = Number.POSITIVE_INFINITY;
}

function begin(world: BufferWorld, fault: FaultName): void {
  const { disk, random } = world;
  const { faults } = disk;
  switch (fault) {
    case 'no_space':
      disk.capacityBytes = disk.usedBytes + random.pick([0, 4_000, 60_000, 300_000]);
      break;
    case 'write_error':
      faults.chances = { ...faults.chances, writeError: random.pick([0.001, 0.02]) };
      break;
    case 'sync_error':
      faults.chances = { ...faults.chances, syncError: random.pick([0.005, 0.05]), syncDirectoryError: 0.02 };
      break;
    case 'read_error':
      faults.chances = { ...faults.chances, readError: random.pick([0.002, 0.02]) };
      world.mayFailReads = true;
      world.model.readsFail = true;
      break;
    case 'name_error':
      faults.chances = { ...faults.chances, nameError: random.pick([0.01, 0.1]) };
      world.mayFailReads = true;
      world.model.readsFail = true;
      break;
    case 'short':
      faults.chances = { ...faults.chances, shortRead: 0.3, shortWrite: 0.3 };
      break;
    case 'slow':
      faults.chances = { ...faults.chances, slow: 0.05 };
      break;
    case 'ledger_error':
      faults.inject({
        fault: random.pick(['EIO', 'ENOSPC']),
        operation: random.pick(['write', 'sync']),
        path: '/ledger',
        chance: random.pick([0.3, 1]),
      });
      break;
  }
}

/** Segment numbers that have a file now. */
function segmentNumbers({ disk }: BufferWorld): readonly number[] {
  return disk
    .paths()
    .map((path) =>
      path.startsWith(`${directory}/`) ? parseSegmentFileName(path.slice(directory.length + 1)) : undefined,
    )
    .filter((segmentNumber) => segmentNumber !== undefined);
}

/** A segment to damage: any but the youngest, or any at all while nobody has the buffer open. */
function drawSegment(world: BufferWorld): string | undefined {
  const numbers = segmentNumbers(world);
  const old = world.life === undefined ? numbers : numbers.slice(0, -1);
  return old.length === 0 ? undefined : `${directory}/${segmentFileName(world.random.pick(old))}`;
}

/** Flips bits behind the header. */
export function flipBits(world: BufferWorld): void {
  const { disk, random } = world;
  const path = drawSegment(world);
  if (path === undefined) return;
  const byteLength = disk.bytesOf(path).length;
  // Where nobody can tell the frames any more, nobody could say what the damage may take.
  if (byteLength <= segmentHeaderBytes || framesOf(world, path).length === 0) return;
  for (let count = random.pick([1, 1, 3]); count > 0; count--) {
    const offset = random.between(segmentHeaderBytes, byteLength - 1);
    doubt(world, path, offset, offset + 1);
    disk.flipBits(path, offset, 1 << random.int(8));
  }
}

/** Sectors behind the header that cannot be read any more. */
export function badSectors(world: BufferWorld): void {
  const { disk, random } = world;
  const path = drawSegment(world);
  if (path === undefined) return;
  const byteLength = disk.bytesOf(path).length;
  // Where nobody can tell the frames any more, nobody could say what the damage may take.
  if (byteLength <= segmentHeaderBytes || framesOf(world, path).length === 0) return;
  const from = random.between(segmentHeaderBytes, byteLength - 1);
  // Blocks are given up as a whole.
  doubt(world, path, from - (from % 4096) - 512, from + 8192);
  disk.failReads(path, from, from + random.pick([1, 2_000]));
  world.mayFailReads = true;
  world.hasBadSectors = true;
}

/** One copy of a segment's header, or both. */
export function damageHeader(world: BufferWorld): void {
  const { disk, random } = world;
  const path = drawSegment(world);
  if (path === undefined || disk.bytesOf(path).length < segmentHeaderBytes) return;
  const copies = random.pick([[0], [2048], [0, 2048]]);
  // The other copy may be bad already, or go bad later: then the epoch is told by the neighbours.
  // From first to last: frames in between may be damaged, and come back when rot is lifted.
  const frames = framesOf(world, path);
  const [from, to] = [frames[0]?.from ?? 0, frames.at(-1)?.to ?? 0];
  for (const record of world.model.records) if (record.id >= from && record.id < to) record.rekeyed = true;
  for (const copy of copies) disk.flipBits(path, copy + random.int(68), 1 << random.int(8));
}

/** One slot of the ledger, or both, while the buffer is not open: a running one writes them anew. */
export function damageLedger(world: BufferWorld): void {
  const { disk, random } = world;
  const path = `${directory}/ledger`;
  if (world.life !== undefined || world.opening !== undefined || !disk.has(path)) return;
  if (disk.bytesOf(path).length < 2 * ledgerSlotBytes) return;
  const slots = random.pick([[0], [1], [0, 1]]);
  world.ledgerDamage = slots.length === 2 || world.ledgerDamage !== 'none' ? 'both' : 'one';
  for (const slot of slots) disk.flipBits(path, slot * ledgerSlotBytes + random.int(200), 1 << random.int(8));
}

/** What rots is repaired: reads show again what was written. */
export function liftRot(world: BufferWorld): void {
  world.hasBadSectors = false;
  world.disk.liftRot();
}

/** Tells the model that the records between these bytes may be lost. */
function doubt(world: BufferWorld, path: string, from: number, to: number): void {
  for (const frame of framesOf(world, path)) {
    if (frame.start < to && frame.end > from) world.model.damaged(frame.from, frame.to);
  }
}

type FrameRange = { readonly start: number; readonly end: number; readonly from: number; readonly to: number };

/** The frames of a segment as they were written: by what stands there now, damaged ones are left out. */
function framesOf({ disk, salts }: BufferWorld, path: string): readonly FrameRange[] {
  const bytes = disk.bytesOf(path);
  const reading = readSegmentHeader(bytes.subarray(0, segmentHeaderBytes));
  if (reading.kind === 'valid') salts.set(path, reading.header.salt);
  const salt = salts.get(path);
  if (salt === undefined) return [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const frames: FrameRange[] = [];
  for (let at = segmentHeaderBytes; at + 48 <= bytes.length; ) {
    const found = readFrame(bytes, view, at, bytes.length, salt);
    if (found.kind === 'frame') {
      const { frame } = found;
      frames.push({ start: at, end: at + frame.byteLength, from: frame.firstId, to: frame.nextId });
      at += frame.byteLength;
    } else at += frameBytes(0) % 8 === 0 ? 8 : 1;
  }
  return frames;
}
