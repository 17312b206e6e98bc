// `spillway inspect DIR`: what is in a buffer's directory, who reads it and what holds it up, also while it is in use.

import { basename, dirname, join, resolve } from 'node:path';
import { StorageError } from '../base/errors.ts';
import {
  type BufferInspection,
  type InspectedCursor,
  type InspectedSegment,
  inspectBuffer,
} from '../engine/disk-buffer-inspection.ts';
import { type StatusFileContent, statusFileName } from '../pipeline/runtime/status-file.ts';
import type { Invocation } from './invocation.ts';
import { bytesText, columns, countOf, countText, durationText, type Output, styled } from './terminal.ts';

const segmentsShown = 4;

type SinkState = StatusFileContent['sinks'][number];

export interface InspectedBuffer extends BufferInspection {
  /** Whether the process that `holder` names is there. */
  readonly isInUse: boolean;
  /** What the pipeline that owns the directory says, or said last, of the sinks behind the cursors. */
  readonly sinks: readonly SinkState[] | undefined;
}

/** A buffer's directory, or a data directory with several of them. */
export async function inspect(
  directory: string,
  { isJson }: { readonly isJson: boolean },
  invocation: Invocation,
): Promise<void> {
  const { terminal, workingDirectory, world } = invocation;
  const directories = await bufferDirectories(resolve(workingDirectory, directory), invocation);
  const buffers: InspectedBuffer[] = [];
  for (const path of directories) buffers.push(await inspectOne(path, invocation));
  if (isJson) {
    terminal.out.write(`${JSON.stringify(buffers.length === 1 ? buffers[0] : buffers, withoutErrors, 2)}\n`);
    return;
  }
  const nowMs = world.clock.now();
  terminal.out.write(buffers.map((buffer) => describe(buffer, nowMs, terminal.out)).join('\n'));
}

/** Where the directory is none of a buffer but has some below it, those. */
async function bufferDirectories(path: string, { world }: Invocation): Promise<readonly string[]> {
  const { fileSystem } = world;
  const names = await fileSystem.list(path);
  const isBuffer = names.some(({ name }) => name === 'ledger' || name.endsWith('.seg'));
  if (isBuffer) return [path];
  const folder = names.some(({ name, kind }) => name === 'buffers' && kind === 'directory')
    ? join(path, 'buffers')
    : path;
  const below = folder === path ? names : await fileSystem.list(folder);
  const found = below.filter(({ kind, name }) => kind === 'directory' && name !== 'quarantine').map(({ name }) => name);
  const buffers: string[] = [];
  for (const name of found.sort()) {
    if ((await fileSystem.facts(join(folder, name, 'ledger'))) !== undefined) buffers.push(join(folder, name));
  }
  if (buffers.length > 0) return buffers;
  throw new StorageError({
    kind: 'missing',
    operation: 'inspect',
    path,
    message:
      `Cannot inspect ${path}: there is no buffer in it and none below it. Expected the directory of a buffer (with ` +
      'a file `ledger`) or the data_dir of a pipeline',
  });
}

async function inspectOne(path: string, { world, isAlive }: Invocation): Promise<InspectedBuffer> {
  const { fileSystem, random, files } = world;
  const inspection = await inspectBuffer({ path, fileSystem, random });
  const status = await readStatus(join(dirname(dirname(inspection.directory)), statusFileName), files);
  const id = basename(inspection.directory).replace(/\.\d+$/, '');
  const isInUse = inspection.holder !== undefined && isAlive(inspection.holder.pid);
  return { ...inspection, isInUse, sinks: status?.sinks.filter(({ buffer }) => buffer === id) };
}

/** It is a courtesy of the pipeline: anything but a whole one is as good as none. */
async function readStatus(path: string, files: Invocation['world']['files']): Promise<StatusFileContent | undefined> {
  try {
    const text = await files.readText(path);
    return text === undefined ? undefined : (JSON.parse(text) as StatusFileContent);
  } catch {
    return undefined;
  }
}

function withoutErrors(_key: string, value: unknown): unknown {
  return value instanceof Error ? { code: 'code' in value ? value.code : undefined, message: value.message } : value;
}

function describe(buffer: InspectedBuffer, nowMs: number, output: Output): string {
  const { directory, segments, usedBytes, quarantine, totals, nextId } = buffer;
  const appended = totals === undefined ? 'unknown' : `${countOf(totals.appended.events, 'event')} in its life`;
  const facts = [
    ['held by', holderText(buffer)],
    ['identity', `${buffer.uuid}, epoch ${buffer.epoch}`],
    ['ledger', ledgerText(buffer)],
    ['on disk', `${bytesText(usedBytes)} in ${countOf(segments.length, 'segment')}${quarantineText(quarantine)}`],
    ['next id', `${countText(nextId)}; appended: ${appended}`],
    ...lostText(buffer),
  ];
  const cursors = buffer.cursors.map((cursor) => cursorRow(cursor, buffer, nowMs));
  const table = [['cursor', 'backlog', '', 'oldest', 'sink'], ...cursors];
  const damage = damageText(buffer, output);
  const files = columns([['segment', 'bytes', 'first id', 'begun', ''], ...segmentRows(segments, nowMs)]);
  return `${styled(output, 'bold', directory)}\n${columns(facts)}\n${columns(table)}\n${files}${damage}`;
}

/** All of a few; of many the oldest and the youngest. */
function segmentRows(segments: readonly InspectedSegment[], nowMs: number): string[][] {
  const rows = segments.map(({ number, byteLength, firstId, createdMs, state }) => [
    String(number),
    bytesText(byteLength),
    firstId === undefined ? '-' : countText(firstId),
    createdMs === undefined ? '-' : `${durationText(nowMs - createdMs)} ago`,
    state === 'known' ? '' : state,
  ]);
  if (rows.length <= 2 * segmentsShown) return rows;
  const between = countOf(rows.length - 2 * segmentsShown, 'more segment');
  return [...rows.slice(0, segmentsShown), ['...', between], ...rows.slice(-segmentsShown)];
}

function holderText({ holder, isInUse }: InspectedBuffer): string {
  if (holder === undefined) return 'nobody so far';
  const who = `process ${holder.pid} on ${holder.host}, started ${holder.started}`;
  return isInUse ? who : `nobody; the last one was ${who}`;
}

function ledgerText({ ledger, clean, isInUse }: InspectedBuffer): string {
  const wholeness = {
    new: 'none yet',
    whole: 'whole',
    one_slot: 'one of its two slots is bad; the other one counts',
    lost: 'lost: every cursor begins again at the oldest record',
  }[ledger];
  if (isInUse || ledger === 'new') return wholeness;
  return `${wholeness}; the last run ${clean ? 'ended with close' : 'was cut off: the next open scans what it left'}`;
}

function quarantineText({ files, bytes }: BufferInspection['quarantine']): string {
  return files === 0 ? '' : `, ${bytesText(bytes)} of them damaged bytes kept in quarantine`;
}

function lostText({ totals }: InspectedBuffer): string[][] {
  if (totals === undefined) return [];
  const amounts = { ...totals.removed, damaged: totals.damaged };
  const lost = Object.entries(amounts).filter(([, { events }]) => events > 0);
  return lost.length === 0
    ? []
    : [['lost', lost.map(([reason, { events }]) => `${countOf(events, 'event')} ${reason}`).join(', ')]];
}

function cursorRow(cursor: InspectedCursor, buffer: InspectedBuffer, nowMs: number): string[] {
  const { name, backlog, oldestMs } = cursor;
  const oldest = oldestMs === undefined ? '-' : durationText(nowMs - oldestMs);
  return [name, countOf(backlog.events, 'event'), bytesText(backlog.bytes), oldest, sinkText(name, buffer, nowMs)];
}

function sinkText(name: string, { sinks, directory, isInUse }: InspectedBuffer, nowMs: number): string {
  if (sinks === undefined) return '';
  const sink = sinks.find(({ id }) => id === name);
  if (sink === undefined)
    return `none in the last config: it holds disk; end it with spillway cursor remove ${directory} ${name}`;
  if (!isInUse) return `${sink.type}, not running`;
  const because = sink.reason === undefined ? '' : `: ${sink.reason}`;
  return `${sink.type}, ${sink.state} for ${durationText(nowMs - sink.sinceMs)}${because}`;
}

function damageText({ damage }: InspectedBuffer, output: Output): string {
  if (damage.length === 0) return '';
  return `\n${styled(output, 'red', 'damage')}\n${damage.map(({ message }) => `  ${message}\n`).join('')}`;
}
