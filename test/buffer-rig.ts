// A simulated machine with one buffer directory on it, for tests that want to say only what they are about: open,
// append, read, crash, look. Every call runs the world until its promise settles; nothing waits for real.

import { DiskBuffer } from '../src/engine/disk-buffer.ts';
import type { BufferEvents } from '../src/engine/events.ts';
import { decodeLedgerSlot, encodeLedgerSlot, type LedgerContent, ledgerSlotBytes } from '../src/engine/ledger-slot.ts';
import type { DiskBufferOptions } from '../src/engine/limits.ts';
import type { Cursor } from '../src/engine/ordered-finalizer-cursor.ts';
import type { DeliveredRecord, Delivery } from '../src/engine/ordered-finalizer-delivery.ts';
import { SimDisk, type SimDiskOptions, type SimProcess, SimWorld, type Survivors } from '../src/testing/index.ts';
import { naiveWalk } from './segment-bytes.ts';

export const MiB = 1_048_576;
export const bufferPath = '/data/buffer';

/** More steps than any of these small tests needs: what turns in circles is told so instead of running for ever. */
const stepsMax = 200_000;

export type Lost = BufferEvents['lost'];

/** A record as a test compares it. */
export type Seen = { readonly id: number; readonly events: number; readonly text: string; readonly key: string };

export class BufferRig {
  readonly world: SimWorld;
  readonly disk: SimDisk;
  process: SimProcess;

  constructor(options: SimDiskOptions & { readonly seed?: number; readonly disk?: SimDisk } = {}) {
    const { seed = 1, disk, ...rest } = options;
    this.world = disk?.world ?? new SimWorld({ seed });
    this.disk = disk ?? new SimDisk(this.world, rest);
    this.process = this.disk.start();
  }

  run<Value>(promise: Promise<Value>): Promise<Value> {
    promise.catch(() => undefined); // The world may stop before anybody else looks at it.
    return this.world.run(promise, { stepsMax });
  }

  until(predicate: () => boolean): Promise<void> {
    return this.world.run(predicate, { stepsMax });
  }

  /** What `promise` has come to within `ms` of virtual time. */
  async within(ms: number, promise: Promise<unknown>): Promise<'pending' | 'resolved' | 'rejected'> {
    let state: 'pending' | 'resolved' | 'rejected' = 'pending';
    promise.then(
      () => {
        state = 'resolved';
      },
      () => {
        state = 'rejected';
      },
    );
    await this.world.advance(ms, { stepsMax });
    return state;
  }

  opening(options: Partial<DiskBufferOptions> = {}): Promise<DiskBuffer> {
    const { fileSystem, clock, random } = this.process;
    return DiskBuffer.open({ path: bufferPath, maxBytes: MiB, fileSystem, clock, random, ...options });
  }

  open(options: Partial<DiskBufferOptions> = {}): Promise<DiskBuffer> {
    return this.run(this.opening(options));
  }

  close(buffer: DiskBuffer, options: { readonly drain?: boolean } = {}): Promise<void> {
    return this.run(buffer.close(options));
  }

  /** The power fails; a new process may open the directory then. */
  crash(survivors: Survivors = 'all'): void {
    this.disk.powerCut(survivors);
    this.process = this.disk.start();
  }

  /** kill -9 between two operations. */
  kill(): void {
    this.disk.killProcess(this.process, 'none');
    this.process = this.disk.start();
  }

  append(buffer: DiskBuffer, ...texts: readonly string[]): Promise<number[]> {
    return this.run(Promise.all(texts.map((text) => appended(buffer, text))));
  }

  /** One after the other, so that each record is a frame of its own. */
  async appendFrames(buffer: DiskBuffer, ...texts: readonly string[]): Promise<number[]> {
    const ids: number[] = [];
    for (const text of texts) ids.push(await this.run(appended(buffer, text)));
    return ids;
  }

  read(cursor: Cursor, options: { readonly maxRecords?: number; readonly maxBytes?: number } = {}): Promise<Delivery> {
    return this.run(cursor.read(options)).then(something);
  }

  /** Reads and acknowledges until the cursor has passed everything below `endId`. */
  async readTo(cursor: Cursor, endId: number): Promise<Seen[]> {
    const seen: Seen[] = [];
    while (cursor.nextId < endId) {
      const delivery = await this.readOrPass(cursor, endId);
      if (delivery === undefined) continue;
      seen.push(...delivery.records.map(seenOf));
      delivery.ack();
    }
    return seen;
  }

  /** The next delivery, or undefined once the cursor has passed `endId` without one, because what came was a gap. */
  async readOrPass(cursor: Cursor, endId: number): Promise<Delivery | undefined> {
    const stop = new AbortController();
    let answer: Delivery | undefined;
    let failure: unknown;
    let settled = false;
    cursor.read({ signal: stop.signal }).then(
      (delivery) => {
        answer = delivery;
        settled = true;
      },
      (cause: unknown) => {
        failure = cause;
        settled = true;
      },
    );
    await this.until(() => settled || cursor.nextId >= endId);
    if (!settled) {
      stop.abort(new Error('nothing is left to read'));
      await this.until(() => settled);
      failure = undefined;
    }
    if (failure !== undefined) throw failure;
    return answer;
  }

  /** Bytes of a file of the buffer. */
  bytes(name: string): Uint8Array {
    return this.disk.bytesOf(`${bufferPath}/${name}`);
  }

  plant(name: string, bytes: Uint8Array): void {
    this.disk.plantFile(`${bufferPath}/${name}`, bytes);
  }

  /** A machine of its own with a copy of this disk. */
  copy(seed: number = 1): BufferRig {
    return new BufferRig({ disk: this.disk.clone(new SimWorld({ seed })) });
  }

  /** Three segments of three frames with one record each, `1` to `9`, closed cleanly. */
  static async threeSegments(): Promise<BufferRig> {
    const rig = new BufferRig();
    for (const first of [1, 4, 7]) {
      const buffer = await rig.open();
      await rig.appendFrames(buffer, `${first}`, `${first + 1}`, `${first + 2}`);
      await rig.close(buffer);
    }
    return rig;
  }

  /** Names in the buffer's directory, without lock and holder. */
  names(): string[] {
    return this.disk
      .paths()
      .filter((path) => path.startsWith(`${bufferPath}/`))
      .map((path) => path.slice(bufferPath.length + 1))
      .filter((name) => name !== 'lock' && name !== 'holder');
  }

  segments(): string[] {
    return this.names().filter((name) => /^[0-9]{16}\.seg$/.test(name));
  }
}

export function segmentName(number: number): string {
  return `${String(number).padStart(16, '0')}.seg`;
}

export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

export function textOf(payload: Uint8Array): string {
  return new TextDecoder().decode(payload);
}

export function seenOf(record: DeliveredRecord): Seen {
  return { id: record.id, events: record.events, text: textOf(record.payload), key: record.key };
}

export function textsOf(delivery: Delivery): string[] {
  return delivery.records.map((record) => textOf(record.payload));
}

/** Everything that is lost from now on. */
export function listenToLosses(buffer: DiskBuffer): Lost[] {
  const losses: Lost[] = [];
  buffer.events.on('lost', (lost) => losses.push(lost));
  return losses;
}

async function appended(buffer: DiskBuffer, text: string): Promise<number> {
  const result = await buffer.append(bytesOf(text));
  if (result.status !== 'stored') throw new Error(`"${text}" was ${result.status}: ${result.reason}`);
  return result.recordId;
}

function something(delivery: Delivery | undefined): Delivery {
  if (delivery === undefined) throw new Error('the cursor is closed');
  return delivery;
}

/** Where a frame stands in a segment, found without the engine's reader. */
export type FramePlace = {
  readonly offset: number;
  readonly byteLength: number;
  readonly firstId: number;
  readonly nextId: number;
};

export function framesIn(segment: Uint8Array): FramePlace[] {
  const marker = new DataView(segment.buffer, segment.byteOffset).getUint32(40, true);
  const told = naiveWalk(segment, { marker, alignment: 8, from: 4096, end: segment.length });
  return told.flatMap((one) =>
    'frame' in one ? [{ offset: one.frame, byteLength: one.byteLength, firstId: one.firstId, nextId: one.nextId }] : [],
  );
}

/** The bytes with one bit turned over. */
export function flipped(bytes: Uint8Array, offset: number, mask = 1): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy[offset] = (copy[offset] as number) ^ mask;
  return copy;
}

/** The same ledger with other contents in every valid slot. */
export function editLedger(ledger: Uint8Array, edit: (content: LedgerContent) => LedgerContent): Uint8Array {
  const slots = [0, ledgerSlotBytes].map((start) => {
    const slot = ledger.subarray(start, start + ledgerSlotBytes);
    const reading = decodeLedgerSlot(slot);
    return reading.kind === 'valid' ? encodeLedgerSlot(reading.generation, edit(reading.content)) : slot;
  });
  return Uint8Array.from(Buffer.concat(slots));
}
