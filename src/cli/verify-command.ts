// `spillway verify DIR`: every byte of a buffer's directory is read. The exit code says whether all is whole.

import { resolve } from 'node:path';
import { type BufferVerification, verifyBuffer } from '../engine/disk-buffer-verification.ts';
import { type ExitCode, exitCodes } from './exit-codes.ts';
import type { Invocation } from './invocation.ts';
import { bytesText, columns, countOf, durationText, type Output, styled } from './terminal.ts';

export async function verify(
  directory: string,
  { isJson, isPortable }: { readonly isJson: boolean; readonly isPortable: boolean },
  { terminal, world, workingDirectory }: Invocation,
): Promise<ExitCode> {
  const { fileSystem, random, clock } = world;
  const startedMs = clock.monotonic();
  const path = resolve(workingDirectory, directory);
  const verification = await verifyBuffer({ path, fileSystem, random, isPortable });
  const tookMs = clock.monotonic() - startedMs;
  terminal.out.write(isJson ? asJson(verification, tookMs) : describe(verification, tookMs, terminal.out));
  return verification.isWhole ? exitCodes.done : exitCodes.damaged;
}

function asJson({ damage, ...verification }: BufferVerification, tookMs: number): string {
  const places = damage.map((error) => ({ code: error.code, message: error.message }));
  return `${JSON.stringify({ ...verification, damage: places, tookMs }, null, 2)}\n`;
}

function describe(verification: BufferVerification, tookMs: number, output: Output): string {
  const { directory, segments, frames, records, events, damage, missing, tornBytes, isWhole } = verification;
  const bytes = segments.reduce((sum, { byteLength }) => sum + byteLength, 0);
  const found = [countOf(frames, 'frame'), countOf(records, 'record'), countOf(events, 'event')].join(', ');
  const facts = [
    ['read', `${bytesText(bytes)} in ${countOf(segments.length, 'segment')}, ${durationText(tookMs)}`],
    ['found', found],
    ...(tornBytes > 0 ? [['unfinished', `${bytesText(tornBytes)} at the end, promised to nobody`]] : []),
  ];
  const verdict = isWhole
    ? styled(output, 'green', 'whole: everything is as it was written')
    : styled(
        output,
        'red',
        `damaged: ${countOf(damage.length, 'place')}, ${countOf(missing.length, 'range')} of ids missing`,
      );
  const places = damage.map(({ message }) => `  ${message}\n`);
  const ranges = missing.map(({ from, to }) => `  ids ${from} to ${to - 1}: ${countOf(to - from, 'event')} missing\n`);
  return `${styled(output, 'bold', directory)}\n${columns(facts)}${verdict}\n${places.join('')}${ranges.join('')}`;
}
