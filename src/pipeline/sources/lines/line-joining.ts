// Which lines belong together: stack traces, wrapped statements. The keys and their meaning are Vector's.
//
// A group begins with a line that matches `start_pattern`; what comes next decides, by mode, whether it goes on. A line
// that begins no group is an event of its own.

import { type ZodType, z } from 'zod';

export const joiningModes = ['continue_through', 'continue_past', 'halt_before', 'halt_with'] as const;
export type JoiningMode = (typeof joiningModes)[number];

export interface LineJoining {
  readonly start: RegExp;
  readonly mode: JoiningMode;
  readonly condition: RegExp;
  /** How long a group waits for its next line. */
  readonly timeoutMs: number;
}

/** What a line does to the group before it. */
export type JoiningStep = 'joins' | 'ends_with' | 'begins_anew';

const joiningSteps: Readonly<Record<JoiningMode, { readonly matching: JoiningStep; readonly other: JoiningStep }>> = {
  continue_through: { matching: 'joins', other: 'begins_anew' },
  continue_past: { matching: 'joins', other: 'ends_with' },
  halt_before: { matching: 'begins_anew', other: 'joins' },
  halt_with: { matching: 'ends_with', other: 'joins' },
};

export function joiningStep({ mode, condition }: LineJoining, line: string): JoiningStep {
  const steps = joiningSteps[mode];
  return condition.test(line) ? steps.matching : steps.other;
}

/** A regular expression; flags may stand in front of it as in other languages: `(?i)error`. */
function pattern(description: string): ZodType<RegExp, string> {
  return z
    .string()
    .transform((text, context) => {
      const [, flags = '', source = ''] = /^(?:\(\?([ims]+)\))?(.*)$/s.exec(text) ?? [];
      try {
        return new RegExp(source, [...new Set(`${flags}u`)].join(''));
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        context.addIssue({ code: 'custom', message: `expected a regular expression: ${reason}` });
        return z.NEVER;
      }
    })
    .describe(description);
}

export const joiningSchema: ZodType<LineJoining> = z
  .strictObject({
    start_pattern: pattern('A line that matches begins a group'),
    mode: z
      .enum(joiningModes)
      .describe(
        'What matching `condition_pattern` means for lines after the first: continue_through: they belong to the ' +
          'group while they match; continue_past: the same, and the first that does not match, too; halt_before: ' +
          'they belong to it until one matches; halt_with: up to and with the first that matches',
      ),
    condition_pattern: pattern('Tested on each line after the first of a group; see mode'),
    timeout_ms: z.int().min(1).default(1_000).describe('A group that gets no further line for so long is complete'),
  })
  .transform(({ start_pattern, mode, condition_pattern, timeout_ms }) => {
    return { start: start_pattern, mode, condition: condition_pattern, timeoutMs: timeout_ms };
  });
