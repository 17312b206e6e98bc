// Options that sources of lines share.

import { type ZodType, z } from 'zod';
import { byteSize } from '../../contract/values.ts';
import type { CutRules } from './line-cutter.ts';
import { joiningSchema, type LineJoining } from './line-joining.ts';

const mebibyte = 1024 * 1024;

/** A longer line is no log line, and an event of this size must fit into any buffer. */
const lineBytesMaxMax = 8 * mebibyte;

interface LineOptionSchemas {
  readonly max_line_bytes: ZodType<number, number | string | undefined>;
  readonly line_delimiter: ZodType<string, string | undefined>;
  readonly multiline: ZodType<LineJoining | undefined>;
}

export const lineOptions: LineOptionSchemas = {
  max_line_bytes: byteSize({ min: 16 })
    .refine((bytes) => bytes <= lineBytesMaxMax, 'expected at most 8MiB')
    .prefault(102_400)
    .describe(
      'A longer line is cut to so many bytes, and marked with the attribute spillway.line.truncated; the rest is ' +
        'skipped. Also the most that lines joined by multiline may have together',
    ),
  line_delimiter: z
    .string()
    .min(1)
    .max(64)
    .default('\n')
    .describe('What ends a line. With the default a carriage return before it is not part of the line either'),
  multiline: joiningSchema
    .optional()
    .describe(
      'Joins lines that belong together into one event. Default: none. Every line is tried against the patterns: one ' +
        'that backtracks without end, such as ^(a+)+$, holds up the whole process',
    ),
};

export interface LineOptions {
  readonly max_line_bytes: number;
  readonly line_delimiter: string;
  readonly multiline?: LineJoining | undefined;
}

export function cutRulesOf({ max_line_bytes, line_delimiter, multiline }: LineOptions): CutRules {
  return { delimiter: Buffer.from(line_delimiter), lineBytesMax: max_line_bytes, joining: multiline };
}
