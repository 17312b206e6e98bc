// Chapter 12, first part. The recovery table: what is on disk at open, what we do about it, and why.
//
// The table is data, so that a test can enumerate every combination of its inputs and prove that exactly one row
// applies. Nothing outside this table decides what happens to a file that was found.
//
// Two principles run through it. Evidence is never destroyed: what is cut or removed and is not zeros is copied aside
// first. And nothing that could not be read, or that only a newer program can judge, is ever touched.
//
// Next: recovery-scan.ts, which finds out what the situation is.

import { assert } from '../base/assert.ts';

/** What was found of one segment. */
export interface Situation {
  /** Where it lies: `before` the ledger's hint nothing needs to be known; `within` is at the hint or behind it. */
  readonly place: 'before' | 'within';
  readonly header: 'usable' | 'empty' | 'stranger' | 'newer' | 'unreadable';
  /** Whether it holds frames at all, whether or not the hint covers them; `newer`: one that this build cannot read. */
  readonly frames: 'some' | 'none' | 'newer';
  /** What lies behind the last of them. */
  readonly tail: 'none' | 'zeros' | 'bytes' | 'unreadable';
  /** Whether no segment that stays follows. */
  readonly last: boolean;
}

export type Action = 'leave' | 'keep' | 'cut' | 'quarantine_and_cut' | 'remove' | 'quarantine_and_remove';

export interface Row {
  readonly letter: string;
  readonly applies: (situation: Situation) => boolean;
  /**
   * `leave`: not touched and not confirmed. `keep`: frames beyond the hint are confirmed (written again and synced),
   * the file stays as it is. `cut`: confirmed, and cut behind the last frame. `remove`: the file goes.
   */
  readonly action: Action;
  readonly why: string;
}

const scanned = (s: Situation): boolean => s.place === 'within' && (s.header === 'usable' || s.header === 'empty');
const readable = (s: Situation): boolean => scanned(s) && s.frames !== 'newer';
const filled = (s: Situation): boolean => readable(s) && s.frames === 'some';
const bare = (s: Situation): boolean => readable(s) && s.frames === 'none';

export const recoveryTable: readonly Row[] = [
  {
    letter: 'A',
    applies: (s) => s.place === 'before',
    action: 'leave',
    why: 'Data is durable before the ledger that mentions it: what lies before the hint needs no look.',
  },
  {
    letter: 'B',
    applies: (s) => s.place === 'within' && s.header === 'stranger',
    action: 'leave',
    why: 'It belongs to another buffer or number. Somebody put it here; it is theirs.',
  },
  {
    letter: 'C',
    applies: (s) => s.place === 'within' && s.header === 'newer',
    action: 'leave',
    why: 'A newer program wrote it; only a newer program can say what in it is whole.',
  },
  {
    letter: 'D',
    applies: (s) => s.place === 'within' && s.header === 'unreadable',
    action: 'leave',
    why: 'The disk did not answer. It may answer later: not being able to read is no reason to destroy.',
  },
  {
    letter: 'E',
    applies: (s) => scanned(s) && s.frames === 'newer',
    action: 'keep',
    why: 'What comes before the frame this build cannot read is confirmed; the frame and all behind it stay.',
  },
  {
    letter: 'F',
    applies: (s) => filled(s) && !s.last,
    action: 'keep',
    why: 'Segments follow: whatever lies behind its last frame is damage for the reader to step over, not a torn tail.',
  },
  {
    letter: 'G',
    applies: (s) => filled(s) && s.last && s.tail === 'none',
    action: 'keep',
    why: 'It ends with a whole frame.',
  },
  {
    letter: 'H',
    applies: (s) => filled(s) && s.last && s.tail === 'zeros',
    action: 'cut',
    why: 'The length came to the disk and the data did not: zeros hold nothing worth keeping.',
  },
  {
    letter: 'I',
    applies: (s) => filled(s) && s.last && s.tail === 'bytes',
    action: 'quarantine_and_cut',
    why: 'A torn write, in which nobody was promised anything, or damage. Copied aside before it is cut.',
  },
  {
    letter: 'J',
    applies: (s) => filled(s) && s.last && s.tail === 'unreadable',
    action: 'keep',
    why: 'Frames may lie in the blocks that could not be read: they are never cut.',
  },
  {
    letter: 'K',
    applies: (s) => bare(s) && !s.last,
    action: 'keep',
    why: 'Segments follow: the reader steps over it, and it is freed in its turn.',
  },
  {
    letter: 'L',
    applies: (s) => bare(s) && s.last && (s.tail === 'none' || s.tail === 'zeros'),
    action: 'remove',
    why: 'Begun, and nothing of it reached the disk but the header.',
  },
  {
    letter: 'M',
    applies: (s) => bare(s) && s.last && s.tail === 'bytes',
    action: 'quarantine_and_remove',
    why: 'Begun, and only torn bytes reached the disk. Copied aside before it is removed.',
  },
  {
    letter: 'N',
    applies: (s) => bare(s) && s.last && s.tail === 'unreadable',
    action: 'keep',
    why: 'Frames may lie in the blocks that could not be read.',
  },
];

/** The one row that applies. */
export function judge(situation: Situation): Row {
  const rows = recoveryTable.filter((row) => row.applies(situation));
  const row = rows[0];
  assert(row !== undefined && rows.length === 1, 'exactly one row of the recovery table applies', {
    situation,
    rows: rows.map((candidate) => candidate.letter),
  });
  return row;
}

/** What the ledger and the listing say about how the last run ended. */
export interface Ending {
  readonly validSlots: 0 | 1 | 2;
  /** Whether the newest valid slot says that the buffer was closed. */
  readonly clean: boolean;
  /** Whether there are bytes at or behind the hint, by the lengths of the files alone. */
  readonly beyondHint: boolean;
}

/**
 * Whether the last run ended cleanly, so that nothing need be scanned and the epoch goes on. One bad slot is enough for
 * a no: the other one may be a publish behind, and a stale `clean` would hide what was appended since.
 */
export function endedCleanly(ending: Ending): boolean {
  return ending.validSlots === 2 && ending.clean && !ending.beyondHint;
}
