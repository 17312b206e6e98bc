import { describe, expect, it } from 'vitest';
import { assert, InvariantViolation, unreachable } from './assert.ts';

function violationOf(run: () => void): InvariantViolation {
  try {
    run();
  } catch (error) {
    if (error instanceof InvariantViolation) return error;
    throw error;
  }
  throw new Error('nothing was violated');
}

describe('assert', () => {
  it('lets what holds pass', () => {
    expect(() => assert(true, 'one is one')).not.toThrow();
    expect(() => assert('text', 'text is there')).not.toThrow();
  });

  it('names the rule and the details of what does not hold', () => {
    const violation = violationOf(() => assert(false, 'I9: left <= right', { left: 2, right: 1 }));
    expect(violation.name).toBe('InvariantViolation');
    expect(violation.message).toContain('I9: left <= right');
    expect(violation.message).toContain('{"left":2,"right":1}');
    expect(violation.details).toEqual({ left: 2, right: 1 });
  });

  it('counts zero, the empty string and undefined as not holding', () => {
    for (const value of [0, '', undefined, null, Number.NaN]) {
      expect(() => assert(value, 'is there')).toThrow(InvariantViolation);
    }
  });

  it('describes details that JSON cannot hold', () => {
    expect(violationOf(() => assert(false, 'big', { big: 7n })).message).toContain('"7"');
    const cycle: Record<string, unknown> = {};
    cycle['self'] = cycle;
    expect(violationOf(() => assert(false, 'round', cycle)).message).toContain('self');
  });

  it('closes a switch', () => {
    expect(violationOf(() => unreachable('fourth' as never)).details).toEqual({ value: 'fourth' });
  });
});
