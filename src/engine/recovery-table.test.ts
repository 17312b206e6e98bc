// The table has a finite number of inputs: all of them are tried.

import { describe, expect, it } from 'vitest';
import { type Ending, endedCleanly, judge, recoveryTable, type Situation } from './recovery-table.ts';

const situations: Situation[] = [];
for (const place of ['before', 'within'] as const) {
  for (const header of ['usable', 'empty', 'stranger', 'newer', 'unreadable'] as const) {
    for (const frames of ['some', 'none', 'newer'] as const) {
      for (const tail of ['none', 'zeros', 'bytes', 'unreadable'] as const) {
        for (const last of [true, false]) situations.push({ place, header, frames, tail, last });
      }
    }
  }
}

describe('the recovery table', () => {
  it('has exactly one row for every combination of its inputs', () => {
    expect(situations).toHaveLength(240);
    for (const situation of situations) {
      const rows = recoveryTable.filter((row) => row.applies(situation));
      expect([situation, rows.map(({ letter }) => letter)]).toEqual([situation, [judge(situation).letter]]);
    }
  });

  it('has no row that nothing reaches, and one letter for each', () => {
    const reached = new Set(situations.map((situation) => judge(situation).letter));
    expect([...reached].sort()).toEqual(recoveryTable.map(({ letter }) => letter));
    expect(recoveryTable.map(({ letter }) => letter).join('')).toBe('ABCDEFGHIJKLMN');
  });

  it('never touches what could not be read, what only a newer program can judge, what is somebody else’s', () => {
    for (const situation of situations) {
      const { place, header, frames, tail } = situation;
      const { action } = judge(situation);
      const foreign = header === 'stranger' || header === 'newer' || header === 'unreadable';
      if (place === 'before' || foreign) expect(action).toBe('leave');
      else if (frames === 'newer' || tail === 'unreadable') expect(action).toBe('keep');
    }
  });

  it('copies aside whatever it destroys that is not zeros, and destroys only at the end of the log', () => {
    for (const situation of situations) {
      const { action } = judge(situation);
      if (action === 'leave' || action === 'keep') continue;
      expect(situation.last).toBe(true);
      expect(action.startsWith('quarantine')).toBe(situation.tail === 'bytes');
      expect(action.endsWith('remove')).toBe(situation.frames === 'none');
    }
  });

  it('refuses a table with a gap or an overlap', () => {
    const nonsense = { place: 'nowhere', header: 'usable', frames: 'some', tail: 'none', last: true };
    expect(() => judge(nonsense as never)).toThrow('exactly one row');
  });
});

describe('endedCleanly', () => {
  it('needs both slots, the word of the newer one, and nothing beyond the hint', () => {
    const clean: Ending[] = [];
    for (const validSlots of [0, 1, 2] as const) {
      for (const saysClean of [true, false]) {
        for (const beyondHint of [true, false]) {
          const ending = { validSlots, clean: saysClean, beyondHint };
          if (endedCleanly(ending)) clean.push(ending);
        }
      }
    }
    expect(clean).toEqual([{ validSlots: 2, clean: true, beyondHint: false }]);
  });
});
