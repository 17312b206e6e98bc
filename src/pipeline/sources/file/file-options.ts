// The options of the file source: Vector's keys where they exist, in Vector's meaning.

import { resolve } from 'node:path';
import { type ZodType, z } from 'zod';
import { byteSize, hostPath, seconds } from '../../contract/values.ts';
import { type CutRules, cutBytesMin } from '../lines/line-cutter.ts';
import { cutRulesOf, type LineOptions, lineOptions } from '../lines/line-options.ts';

const ignoredHeaderBytesMax = 1024 * 1024;
/** It is held in memory. */
const readBytesMaxMax = 64 * 1024 * 1024;

const patterns = z.array(hostPath());

const fingerprintSchema = z
  .strictObject({
    strategy: z
      .enum(['checksum', 'device_and_inode'])
      .default('checksum')
      .describe(
        'How a file is known again. checksum: by its first lines, so that renamed and copied files are known, too; ' +
          'device_and_inode: by its inode, for files that hold the same lines and are no copies',
      ),
    lines: z.int().min(1).max(1_000).default(1).describe('checksum: how many lines; a file with fewer is not read'),
    ignored_header_bytes: byteSize()
      .refine((bytes) => bytes <= ignoredHeaderBytesMax, 'expected at most 1MiB')
      .prefault(0)
      .describe('checksum: bytes at the beginning that do not count'),
  })
  .describe('How files are told apart and known again');

/** As they are written in the config, once checked. */
export interface FileSourceKeys extends LineOptions {
  readonly include: readonly string[];
  readonly exclude: readonly string[];
  readonly read_from: 'beginning' | 'end';
  readonly ignore_older_secs?: number | undefined;
  readonly ignore_checkpoints: boolean;
  readonly max_read_bytes: number;
  readonly oldest_first: boolean;
  readonly glob_minimum_cooldown_ms: number;
  readonly rotate_wait_secs: number;
  readonly fingerprint: {
    readonly strategy: 'checksum' | 'device_and_inode';
    readonly lines: number;
    readonly ignored_header_bytes: number;
  };
}

export const fileSourceSchema: ZodType<FileSourceKeys> = z.strictObject({
  include: patterns.min(1).describe('Patterns of files to read: `*`, `?`, `**`, `{a,b}`, `[a-z]`'),
  exclude: patterns.default([]).describe('Patterns of files to leave alone, whatever include says'),
  read_from: z
    .enum(['beginning', 'end'])
    .default('beginning')
    .describe(
      'Where reading begins in files that are there when the source runs for the first time. Files that come later, ' +
        'also while Spillway is stopped, are read from their beginning',
    ),
  ignore_older_secs: seconds()
    .optional()
    .describe('Skips what is in files that were not changed for so long when they are found; what is added is read'),
  ignore_checkpoints: z
    .boolean()
    .default(false)
    .describe('Begins as if there were no checkpoints, which repeats lines. They are still written'),
  max_read_bytes: byteSize({ min: 1024 })
    .refine((bytes) => bytes <= readBytesMaxMax, 'expected at most 64MiB')
    .prefault('256KiB')
    .describe('How much is read from a file before the next one is read; not with oldest_first'),
  oldest_first: z.boolean().default(false).describe('Reads the file that was changed least recently to its end first'),
  glob_minimum_cooldown_ms: z.int().min(10).default(1_000).describe('How often patterns are searched for new files'),
  rotate_wait_secs: seconds()
    .prefault(60)
    .describe(
      'How long a file that was renamed or removed is watched after the last byte was added to it. Then a last line ' +
        'without its end is taken as it is',
    ),
  fingerprint: fingerprintSchema.prefault({}),
  ...lineOptions,
});

export interface FileSourceOptions {
  readonly include: readonly string[];
  readonly exclude: readonly string[];
  readonly readFrom: 'beginning' | 'end';
  readonly ignoreOlderMs: number | undefined;
  readonly ignoreCheckpoints: boolean;
  readonly readBytesMax: number;
  readonly oldestFirst: boolean;
  readonly scanIntervalMs: number;
  readonly rotateWaitMs: number;
  readonly fingerprint: {
    readonly strategy: 'checksum' | 'device_and_inode';
    readonly lines: number;
    readonly ignoredHeaderBytes: number;
  };
  readonly rules: CutRules;
}

export function fileSourceOptions(given: FileSourceKeys): FileSourceOptions {
  const { strategy, lines, ignored_header_bytes: ignoredHeaderBytes } = given.fingerprint;
  const rules = cutRulesOf(given);
  return {
    include: given.include.map((pattern) => resolve(pattern)),
    exclude: given.exclude.map((pattern) => resolve(pattern)),
    readFrom: given.read_from,
    ignoreOlderMs: given.ignore_older_secs,
    ignoreCheckpoints: given.ignore_checkpoints,
    readBytesMax: Math.max(given.max_read_bytes, cutBytesMin(rules)),
    oldestFirst: given.oldest_first,
    scanIntervalMs: given.glob_minimum_cooldown_ms,
    rotateWaitMs: given.rotate_wait_secs,
    fingerprint: { strategy, lines, ignoredHeaderBytes },
    rules,
  };
}
