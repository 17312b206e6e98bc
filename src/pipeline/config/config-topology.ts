// Checks what the blocks of a config say of each other: who feeds whom, who shares which buffer.

import type { SourceDefinition } from '../contract/definition.ts';
import type { BufferSettings } from '../contract/settings.ts';
import { type Block, type CheckContext, type CheckedOptions, subjectOf } from './config-check.ts';
import { type ConfigPath, find, type Place } from './config-node.ts';
import type { TopKeys } from './core-schema.ts';
import { type InputReference, isOn, type SinkDraft, sinkEntry } from './sink-settings.ts';
import { suggestion } from './suggestion.ts';

/** An id of the config and where it stands. */
export interface Named {
  readonly id: string;
  readonly path: ConfigPath;
  readonly place: Place;
}

/** A source as far as its own block tells. */
export interface SourceDraft {
  readonly id: string;
  readonly block: Block;
  readonly definition: SourceDefinition | undefined;
  /** Undefined: they have errors, or nobody knows the definition. */
  readonly options: CheckedOptions | undefined;
}

/** A cursor for each sink, and a buffer has at most so many. */
const sinksPerBufferMax = 32;

export interface Topology {
  readonly context: CheckContext;
  /** All ids, also of blocks with errors: who points at one of those points at something. */
  readonly sourceIds: readonly Named[];
  readonly sources: readonly SourceDraft[];
  readonly bufferIds: readonly Named[];
  readonly buffers: readonly BufferSettings[];
  readonly sinks: readonly SinkDraft[];
  readonly top: TopKeys | undefined;
}

export interface Links {
  /** By sink: the sources that feed it. */
  readonly inputs: ReadonlyMap<string, readonly string[]>;
  /** By sink: the settings of its buffer, where they have no errors. */
  readonly buffers: ReadonlyMap<string, BufferSettings>;
  readonly usedSources: ReadonlySet<string>;
  readonly usedBuffers: ReadonlySet<string>;
}

export function linkComponents(topology: Topology): Links {
  const inputs = new Map<string, readonly string[]>();
  const buffers = new Map<string, BufferSettings>();
  const usedBuffers = new Set<string>();
  const readers = new Map<string, SinkDraft[]>();
  for (const sink of topology.sinks) {
    inputs.set(sink.id, inputsOf(topology, sink));
    const buffer = bufferOf(topology, sink);
    usedBuffers.add(buffer ?? '');
    if (buffer !== undefined) readers.set(buffer, [...(readers.get(buffer) ?? []), sink]);
    const settings = bufferSettingsOf(topology, sink, buffer);
    if (settings !== undefined) buffers.set(sink.id, settings);
    checkSwitches(topology, sink, settings);
  }
  for (const [buffer, sinks] of readers) checkReaders(topology, buffer, sinks, inputs);
  checkDeadLetters(topology);
  const usedSources = new Set([...inputs.values()].flat());
  warnUnused(topology, usedSources, usedBuffers);
  return { inputs, buffers, usedSources, usedBuffers };
}

function inputsOf(topology: Topology, sink: SinkDraft): string[] {
  const fed = new Set<string>();
  for (const input of sink.inputs) {
    const matching = topology.sourceIds.filter(({ id }) => matches(input.text, id));
    for (const { id } of matching) fed.add(id);
    if (matching.length > 0) continue;
    const path = [...sink.block.path, 'inputs', ...(input.index === undefined ? [] : [input.index])];
    topology.context.issues.error({ path, place: input.place, message: nothingMessage(topology, input) });
  }
  return [...fed];
}

/** `*` stands for any characters, as in Vector. */
function matches(pattern: string, id: string): boolean {
  if (!pattern.includes('*')) return pattern === id;
  const parts = pattern.split('*');
  const [first = '', last = ''] = [parts[0], parts.at(-1)];
  if (id.length < first.length + last.length || !id.startsWith(first) || !id.endsWith(last)) return false;
  let from = first.length;
  for (const part of parts.slice(1, -1)) {
    const at = id.indexOf(part, from);
    if (at < 0 || at + part.length > id.length - last.length) return false;
    from = at + part.length;
  }
  return true;
}

function nothingMessage({ sourceIds, bufferIds, sinks }: Topology, { text, shown }: InputReference): string {
  const known = sourceIds.map(({ id }) => id);
  if (text.includes('*')) return `${shown} matches no source`;
  if (sinks.some(({ id }) => id === text)) return `${shown} is a sink; expected a source`;
  if (bufferIds.some(({ id }) => id === text)) return `${shown} is a buffer; expected a source`;
  const output = /^(.+)\.(?:logs|metrics|traces)$/.exec(text)?.[1];
  if (output !== undefined && known.includes(output)) {
    return `sources have one output for all signals; expected "${output}" in place of ${shown}`;
  }
  return `there is no source ${shown}${suggestion(text, known)}`;
}

/** The id of the buffer that the sink reads, its own included; undefined if that is in doubt. */
function bufferOf(topology: Topology, sink: SinkDraft): string | undefined {
  const { buffer } = sink;
  if (buffer === undefined) return undefined;
  if ('own' in buffer) return sink.id;
  if (topology.bufferIds.some(({ id }) => id === buffer.shared)) return buffer.shared;
  const known = topology.bufferIds.map(({ id }) => id);
  const isType = topology.context.loader.builtinTypes('buffer').includes(buffer.shared);
  const remedy = isType
    ? `; a buffer of the sink's own is written as "buffer: { type: ${buffer.shared} }"`
    : suggestion(buffer.shared, known);
  const message = `there is no buffer ${buffer.shown} under "buffers"${remedy}`;
  topology.context.issues.error({ path: [...sink.block.path, 'buffer'], place: buffer.place, message });
  return undefined;
}

function bufferSettingsOf(
  { buffers }: Topology,
  { buffer }: SinkDraft,
  id: string | undefined,
): BufferSettings | undefined {
  return buffer !== undefined && 'own' in buffer ? buffer.own : buffers.find((each) => each.id === id);
}

function checkSwitches({ context, top }: Topology, sink: SinkDraft, buffer: BufferSettings | undefined): void {
  const { keys } = sink;
  if (keys === undefined) return;
  const isAsked = isOn(keys.acknowledgements, isOn(top?.acknowledgements, false));
  const forgetful = buffer?.stages.find(({ definition }) => !definition.isDurable);
  if (isAsked && forgetful !== undefined) {
    const message =
      'acknowledgements are asked for, but the buffer forgets what it holds when the process ends: it is ' +
      `${subjectOf(forgetful.definition)}; use "type: disk", or leave "acknowledgements" out`;
    const { keyPlace } = sinkEntry(sink, 'acknowledgements');
    context.issues.error({ path: [...sink.block.path, 'acknowledgements'], place: keyPlace, message });
  }
  if (keys.on_blocked === 'dead_letter' && keys.dead_letters === false) {
    const message = 'expected dead letters for "dead_letter" to go to; "dead_letters" is false';
    const { node } = sinkEntry(sink, 'on_blocked');
    context.issues.error({ path: [...sink.block.path, 'on_blocked'], place: node.place, message });
  }
}

/** Each sink appends to its own file: two would write over each other's lines. */
function checkDeadLetters({ context, sinks }: Topology): void {
  const owners = new Map<string, string>();
  for (const sink of sinks) {
    const letters = sink.keys?.dead_letters;
    const path = typeof letters === 'object' ? letters.path : undefined;
    if (path === undefined) continue;
    const owner = owners.get(path);
    owners.set(path, owner ?? sink.id);
    if (owner === undefined) continue;
    const message = `the file holds the dead letters of "${owner}"; expected one that is this sink's alone`;
    const { place } = find(sink.block.node, sink.block.place, ['dead_letters', 'path']);
    context.issues.error({ path: [...sink.block.path, 'dead_letters', 'path'], place, message });
  }
}

/** Every cursor of a buffer is handed everything in it: sinks that share one have the same sources. */
function checkReaders(
  { context }: Topology,
  buffer: string,
  sinks: readonly SinkDraft[],
  inputs: ReadonlyMap<string, readonly string[]>,
): void {
  const sorted = (sink: SinkDraft): string => (inputs.get(sink.id) ?? []).toSorted().join(', ');
  const [first, ...others] = sinks;
  for (const sink of others) {
    if (first === undefined || sorted(sink) === sorted(first)) continue;
    if (inputs.get(sink.id)?.length === 0 || inputs.get(first.id)?.length === 0) continue; // Said already.
    const message =
      `the sinks of the buffer "${buffer}" all get everything in it, so they have the same inputs; ` +
      `"${first.id}" has ${sorted(first)}, this one ${sorted(sink)}; give it a buffer of its own`;
    const { keyPlace } = sinkEntry(sink, 'inputs');
    context.issues.error({ path: [...sink.block.path, 'inputs'], place: keyPlace, message });
  }
  if (sinks.length <= sinksPerBufferMax || first === undefined) return;
  const message = `expected at most ${sinksPerBufferMax} sinks on the buffer "${buffer}"; found ${sinks.length}`;
  context.issues.error({ path: [...first.block.path, 'buffer'], place: sinkEntry(first, 'buffer').keyPlace, message });
}

function warnUnused(
  { context, sourceIds, bufferIds }: Topology,
  sources: ReadonlySet<string>,
  buffers: ReadonlySet<string>,
): void {
  for (const { id, path, place } of sourceIds.filter((each) => !sources.has(each.id))) {
    context.issues.warn({ path, place, message: `no sink has "${id}" among its inputs; it is not started` });
  }
  for (const { id, path, place } of bufferIds.filter((each) => !buffers.has(each.id))) {
    context.issues.warn({ path, place, message: `no sink reads the buffer "${id}"; it is not opened` });
  }
}
