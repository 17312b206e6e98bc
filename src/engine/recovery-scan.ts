// Chapter 12, continued. The scan reads what lies beyond the ledger's hint, frame by frame, and finds where the log
// ends.
//
// I12.1  the scan reads nothing before the hint: its cost does not depend on the backlog
// I12.2  a gap in ids at or below the highest id known durable is damage; above it, nobody was promised those ids
//        (in `sync`) and they are `unconfirmed`
// I12.3  ids that may hide in blocks that cannot be read now are not given again
//
// Next: recovery.ts, which puts everything together.

import { DamageError, isStorageError } from '../base/errors.ts';
import { mark } from '../base/marks.ts';
import type { FileSystem } from '../platform/file-system.ts';
import type { EventHub, LogPosition } from './events.ts';
import { frameAlignment } from './frame.ts';
import type { IdRange } from './ledger-slot.ts';
import type { Situation } from './recovery-table.ts';
import { letGo, type Segment, type SegmentCatalog } from './segment-catalog.ts';
import { segmentHeaderBytes } from './segment-header.ts';
import { SegmentWalk } from './segment-walk.ts';

/** What the scan found of one segment, and what of it must be made durable. */
export interface ScannedSegment {
  readonly segment: Segment;
  readonly situation: Omit<Situation, 'last'>;
  /** Frames beyond the hint lie in [from, end). */
  readonly from: number;
  readonly end: number;
}

export interface ScanResult {
  readonly segments: readonly ScannedSegment[];
  /** Where the log ends. */
  readonly end: LogPosition;
  /** Missing ids, in order. */
  readonly gaps: readonly IdRange[];
  /** The highest id that some frame says was durable. */
  readonly durableId: number;
  /** Damaged places, for the quarantine. */
  readonly damage: readonly { readonly segment: Segment; readonly from: number; readonly to: number }[];
}

interface ScanState {
  segment: number;
  offset: number;
  nextId: number;
  payloadBytes: number;
  durableId: number;
  /** Bytes that could not be read since ids were last certain. */
  hiddenBytes: number;
  readonly gaps: IdRange[];
  readonly damage: { readonly segment: Segment; readonly from: number; readonly to: number }[];
}

/** Scans `segments` in order, the first from `hint.offset` if it is the hint's segment, the others from their start. */
export async function scan(
  context: { readonly fileSystem: FileSystem; readonly catalog: SegmentCatalog; readonly events: EventHub },
  segments: readonly Segment[],
  hint: LogPosition,
): Promise<ScanResult> {
  const state: ScanState = { ...hint, durableId: 0, hiddenBytes: 0, gaps: [], damage: [] };
  const scanned: ScannedSegment[] = [];
  for (const segment of segments) {
    const from = segment.number === hint.segment ? Math.max(hint.offset, segmentHeaderBytes) : segmentHeaderBytes;
    const result = await scanSegment(context, segment, from, state);
    if (result !== undefined) scanned.push(result);
  }
  skipHiddenIds(state);
  const { segment, offset, nextId, payloadBytes } = state;
  const end = { segment, offset, nextId, payloadBytes };
  return { segments: scanned, end, gaps: state.gaps, durableId: state.durableId, damage: state.damage };
}

async function scanSegment(
  context: { readonly fileSystem: FileSystem; readonly catalog: SegmentCatalog; readonly events: EventHub },
  segment: Segment,
  from: number,
  state: ScanState,
): Promise<ScannedSegment | undefined> {
  const untouched = (header: 'stranger' | 'newer' | 'unreadable'): ScannedSegment => ({
    segment,
    situation: { place: 'within', header, frames: 'none', tail: 'none' },
    from,
    end: from,
  });
  try {
    await context.catalog.describe(segment);
  } catch (cause) {
    if (!isStorageError(cause, 'io')) throw cause;
    mark('recovery.header_unreadable');
    state.hiddenBytes += segment.byteLength;
    return untouched('unreadable');
  }
  if (segment.state === 'stranger' || segment.state === 'newer') {
    // What a newer program appended there has ids of its own: they are not given again.
    if (segment.state === 'newer') state.hiddenBytes += segment.byteLength;
    return untouched(segment.state);
  }
  if (segment.header === undefined) {
    const tail = await contentOf(context.fileSystem, segment);
    if (tail === 'unreadable') state.hiddenBytes += segment.byteLength;
    return { segment, situation: { place: 'within', header: 'empty', frames: 'none', tail }, from: 0, end: 0 };
  }
  return await scanFrames(context, segment, from, state);
}

/** What a file holds that has neither header nor frame. No marker finds a frame there, so any will do to walk it. */
async function contentOf(fileSystem: FileSystem, segment: Segment): Promise<Situation['tail']> {
  const file = await fileSystem.open(segment.path, 'read');
  try {
    const end = segment.byteLength;
    const walk = new SegmentWalk({ file, marker: 1, alignment: frameAlignment, from: 0, end, unreadable: 'damage' });
    for (;;) {
      const step = walk.next();
      if (step.kind === 'end') return step.tail;
      if (step.kind !== 'load') return 'bytes';
      await walk.load();
    }
  } finally {
    await letGo(file);
  }
}

async function scanFrames(
  context: { readonly fileSystem: FileSystem; readonly catalog: SegmentCatalog; readonly events: EventHub },
  segment: Segment,
  from: number,
  state: ScanState,
): Promise<ScannedSegment> {
  const header = segment.header as NonNullable<Segment['header']>;
  certainId(state, header.firstId);
  const covered = from > segmentHeaderBytes; // The hint says that there are frames before it.
  const end = segment.byteLength;
  if (from >= end) {
    const frames = covered ? 'some' : 'none';
    return { segment, situation: { place: 'within', header: 'usable', frames, tail: 'none' }, from: end, end };
  }
  const endId = await firstIdBehind(context.catalog, segment);
  const file = await context.fileSystem.open(segment.path, 'read');
  try {
    const { salt: marker, alignment } = header;
    const walk = new SegmentWalk({ file, marker, alignment, from, end, unreadable: 'damage' });
    const found = await walkFrames(walk, segment, endId, state, context.events);
    const frames = found.newer ? 'newer' : covered || found.count > 0 ? 'some' : 'none';
    return {
      segment,
      situation: { place: 'within', header: 'usable', frames, tail: found.tail },
      from,
      end: found.end,
    };
  } finally {
    await letGo(file);
  }
}

/**
 * The id at which a following segment begins: frames at or above it in this one were given up by an earlier recovery.
 */
async function firstIdBehind(catalog: SegmentCatalog, segment: Segment): Promise<number> {
  const next = catalog.after(segment.number);
  if (next === undefined) return Number.POSITIVE_INFINITY;
  await catalog.describe(next).catch(() => undefined);
  return next.header === undefined || next.header.firstId === 0 ? Number.POSITIVE_INFINITY : next.header.firstId;
}

async function walkFrames(
  walk: SegmentWalk,
  segment: Segment,
  endId: number,
  state: ScanState,
  events: EventHub,
): Promise<{ count: number; newer: boolean; tail: Situation['tail']; end: number }> {
  let count = 0;
  let end = walk.offset;
  for (;;) {
    const step = walk.next();
    switch (step.kind) {
      case 'load':
        await walk.load();
        break;
      case 'frame': {
        const { frame, offset } = step;
        const givenUp = frame.recordCount > 0 && frame.firstId >= endId; // A seal has the id that comes next.
        if (givenUp) return { count, newer: false, tail: 'bytes', end };
        count += 1;
        end = offset + frame.byteLength;
        takeFrame(state, segment, frame, end);
        break;
      }
      case 'damage':
        if (step.unreadable) mark('recovery.unreadable');
        state.damage.push({ segment, from: step.from, to: step.to });
        events.emit('damage', damagedFrames(segment.path, step.from, step.to));
        break;
      case 'unknown_frame':
        state.hiddenBytes += segment.byteLength - step.offset;
        return { count, newer: true, tail: 'bytes', end };
      case 'end':
        if (step.tail === 'unreadable') state.hiddenBytes += segment.byteLength - step.offset;
        return { count, newer: false, tail: step.tail, end: step.offset };
    }
  }
}

function takeFrame(
  state: ScanState,
  segment: Segment,
  frame: {
    readonly firstId: number;
    readonly nextId: number;
    readonly payloadBytes: number;
    readonly durableId: number;
  },
  end: number,
): void {
  state.durableId = Math.max(state.durableId, frame.durableId);
  state.segment = segment.number;
  state.offset = end;
  if (frame.nextId <= state.nextId) return; // A seal, or something that the hint covers already.
  certainId(state, frame.firstId);
  state.nextId = frame.nextId;
  state.payloadBytes += frame.payloadBytes;
}

/** The log goes on at this id: what is missing before it is a gap, and nothing unknown hides there any more. */
function certainId(state: ScanState, firstId: number): void {
  if (firstId < state.nextId) return;
  if (firstId > state.nextId) state.gaps.push({ from: state.nextId, to: firstId });
  state.nextId = firstId;
  state.hiddenBytes = 0;
}

/**
 * Bytes at the end of the log that cannot be read may hide records that were accepted. If their ids were given again
 * and the bytes came back, two records would claim one place and one of them would be stepped over. So one id per
 * hidden byte is skipped: more than records of ordinary event counts can use up. They count as unconfirmed if they
 * never show up.
 */
function skipHiddenIds(state: ScanState): void {
  if (state.hiddenBytes === 0) return;
  mark('recovery.ids_skipped');
  certainId(state, state.nextId + state.hiddenBytes);
}

function damagedFrames(path: string, from: number, to: number): DamageError {
  return new DamageError({
    code: 'SPILLWAY_DAMAGE_FRAME',
    path,
    offset: from,
    byteLength: to - from,
    message:
      `Bytes ${from} to ${to} of ${path} are not the frames that were written there; the frames around ` +
      'them are whole. The bytes are kept in quarantine if there is room',
  });
}
