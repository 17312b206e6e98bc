// The records of a run, made anew from its seed wherever somebody needs them: the process that appends, the one that
// reads after a crash, and the test that judges. What comes back is compared with what it must have been, byte by byte,
// without a copy of it having to survive anywhere.
//
// A record names itself in its 32 bits of metadata: the life of the directory in which it was appended, and its number
// in that life. The payload itself can then be anything, an empty one included.
import type { RecordInput } from '../../src/index.ts';
import { SeededRandom } from '../../src/testing/seeded-random.ts';

const indexBits: number = 20;
const indexesPerLife = 2 ** indexBits;
export const livesMax: number = 2 ** (32 - indexBits);

export type PlannedRecord = Required<RecordInput>;

/** What is appended in one call: one record, or several as a batch. */
export type PlannedCall = { readonly index: number; readonly count: number };

export type Plan = {
  readonly seed: number | string;
  readonly segmentBytes: number;
  /** No payload is larger. Default: as large as a segment takes. */
  readonly payloadBytesMax?: number;
};

export function nameOf(life: number, index: number): number {
  return life * indexesPerLife + index;
}

export function lifeOf(name: number): number {
  return Math.floor(name / indexesPerLife);
}

export function indexOf(name: number): number {
  return name % indexesPerLife;
}

/** The record with this name. Every caller gets the same bytes. */
export function recordNamed(plan: Plan, name: number): PlannedRecord {
  const random = new SeededRandom(`${plan.seed}/record/${name}`);
  const drawnBytes = payloadBytes(random, plan.segmentBytes);
  const payload = new Uint8Array(Math.min(drawnBytes, plan.payloadBytesMax ?? drawnBytes));
  fill(payload, random);
  return { payload, events: eventsOf(plan, name), metadata: name };
}

export function eventsOf(plan: Plan, name: number): number {
  const random = new SeededRandom(`${plan.seed}/events/${name}`);
  return random.chance(0.9) ? 1 : random.between(2, 50);
}

// Mostly small; some fill a frame by themselves, a few exceed a slot and travel alone.
function payloadBytes(random: SeededRandom, segmentBytes: number): number {
  const slotBytes = Math.min(1024 * 1024, segmentBytes / 2);
  const draw = random.int(1000);
  if (draw < 30) return random.int(4);
  if (draw < 860) return random.between(4, 2_000);
  if (draw < 980) return random.between(2_000, 20_000);
  if (draw < 996) return random.between(20_000, 100_000);
  return random.between(slotBytes - 100, segmentBytes - 12 * 1024 - 16);
}

// Noise, with a run of zeros at the end of some: zeros are what a file system shows where nothing arrived.
function fill(payload: Uint8Array, random: SeededRandom): void {
  const zeros = random.chance(0.2) ? random.int(payload.length + 1) : 0;
  const end = payload.length - zeros;
  for (let at = 0; at < end; at += 4) {
    const word = random.uint32();
    for (let byte = 0; byte < 4 && at + byte < end; byte++) payload[at + byte] = word >>> (8 * byte);
  }
}

/** The calls of one life, without end, in the order in which they are made. */
export function* callsOf(plan: Plan, life: number): Generator<PlannedCall, never> {
  const random = new SeededRandom(`${plan.seed}/calls/${life}`);
  for (let index = 0; ; ) {
    const count = random.chance(0.08) ? random.between(2, 24) : 1;
    yield { index, count };
    index += count;
  }
}

/** The records of a call. A batch leaves out what would make it too large. */
export function recordsOf(plan: Plan, life: number, call: PlannedCall): PlannedRecord[] {
  const records: PlannedRecord[] = [];
  let bytes = 0;
  for (let index = call.index; index < call.index + call.count; index++) {
    const record = recordNamed(plan, nameOf(life, index));
    bytes += record.payload.length + 16;
    if (records.length > 0 && bytes > plan.segmentBytes / 4) break;
    records.push(record);
  }
  return records;
}

/** Why these are not the record's bytes, or undefined if they are. */
export function differenceFrom(plan: Plan, found: PlannedRecord): string | undefined {
  const expected = recordNamed(plan, found.metadata);
  if (found.events !== expected.events) return `${found.events} events, appended were ${expected.events}`;
  if (found.payload.length !== expected.payload.length) {
    return `${found.payload.length} bytes, appended were ${expected.payload.length}`;
  }
  if (Buffer.compare(found.payload, expected.payload) === 0) return undefined;
  const at = found.payload.findIndex((byte, position) => byte !== expected.payload[position]);
  return `byte ${at} of ${found.payload.length} differs`;
}
