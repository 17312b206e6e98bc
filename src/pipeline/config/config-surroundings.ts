// Asks definitions about their options in their surroundings: what a schema cannot tell, because it sees one block.
//
// Two things a definition may say: which signals a source makes and a sink takes, and what is wrong with options beside
// a buffer, an address or a neighbour such as these. What it says is shown as a schema's own sentences are: with the
// place in the file, and without what must not be seen.

import { signals as allSignals, type Signal } from '../../otlp/signal.ts';
import { isDurableBuffer } from '../buffers/open-buffer.ts';
import type { OptionsProblem, SinkSurroundings, SourceSurroundings } from '../contract/definition.ts';
import { type CheckContext, subjectOf } from './config-check.ts';
import { find } from './config-node.ts';
import type { Links, SourceDraft, Topology } from './config-topology.ts';
import { HiddenValues, isHidden } from './found-text.ts';
import { keysOf } from './schema-shape.ts';
import { type SinkDraft, sinkEntry } from './sink-settings.ts';

type Draft = SourceDraft | SinkDraft;

export function checkSurroundings(topology: Topology, links: Links): void {
  const { context, sources, sinks, top } = topology;
  const asker = new Asker(context);
  const used = sources.filter(({ id }) => links.usedSources.has(id));
  for (const [index, source] of used.entries()) {
    const earlier = neighbours(source, used.slice(0, index)).map(({ id, options }) => ({
      id,
      options: options?.value,
    }));
    asker.checkSource(source, { earlier: earlier as never, healthAddress: top?.health?.address });
  }
  const around = new Map<SinkDraft, Omit<SinkSurroundings<never>, 'earlier'>>();
  for (const [index, sink] of sinks.entries()) {
    const inputs = used.filter(({ id }) => links.inputs.get(sink.id)?.includes(id));
    const signals = checkSignals(context, sink, inputs, asker);
    const buffer = links.buffers.get(sink.id);
    if (buffer === undefined) continue; // Said already.
    const own = { buffer: { id: buffer.id, isDurable: isDurableBuffer(buffer) }, signals };
    const earlier = neighbours(sink, sinks.slice(0, index)).flatMap((each) => {
      const its = around.get(each);
      return its === undefined ? [] : [{ id: each.id, options: each.options?.value, ...its }];
    });
    asker.checkSink(sink, { ...own, earlier: earlier as never });
    around.set(sink, own);
  }
}

function neighbours<Some extends Draft>({ definition }: Some, earlier: readonly Some[]): Some[] {
  return earlier.filter((each) => each.definition === definition && each.options !== undefined);
}

/** Calls the functions of definitions, which are somebody else's: they may throw, and give anything. */
class Asker {
  readonly #context: CheckContext;
  /** Each is asked once, so that what is wrong with its answer is said once. */
  readonly #signals = new Map<Draft, readonly Signal[] | undefined>();

  constructor(context: CheckContext) {
    this.#context = context;
  }

  /** Undefined: nobody can know yet. */
  signalsOf(draft: Draft): readonly Signal[] | undefined {
    const { definition, options } = draft;
    if (definition === undefined || options === undefined) return undefined;
    if (!this.#signals.has(draft)) {
      const question = (): unknown => definition.signals?.(options.value as never) ?? allSignals;
      this.#signals.set(draft, this.#ask(draft, question, signalList));
    }
    return this.#signals.get(draft);
  }

  checkSource(source: SourceDraft, surroundings: SourceSurroundings<never>): void {
    const { definition, options } = source;
    if (options === undefined) return;
    this.#report(source, () => definition?.check?.(options.value as never, surroundings));
  }

  checkSink(sink: SinkDraft, surroundings: SinkSurroundings<never>): void {
    const { definition, options } = sink;
    if (options === undefined) return;
    this.#report(sink, () => definition?.check?.(options.value as never, surroundings));
  }

  #report(draft: Draft, check: () => readonly OptionsProblem[] | undefined): void {
    const { block } = draft;
    for (const { path, message } of this.#ask(draft, () => check() ?? [], problemList) ?? []) {
      const { place } = find(block.node, block.place, path);
      this.#context.issues.error({ path: [...block.path, ...path], place, message: this.#shown(draft, message) });
    }
  }

  #ask<Value>(draft: Draft, question: () => unknown, expected: Expected<Value>): Value | undefined {
    try {
      const answer = question();
      if (expected.isOne(answer)) return answer;
      // A promise that is rejected and that nobody waits for would end the process.
      Promise.resolve(answer).catch(() => undefined);
      throw new TypeError(expected.words);
    } catch (cause) {
      const { block, definition } = draft;
      const subject = definition === undefined ? 'it' : subjectOf(definition);
      const reason = this.#shown(draft, cause instanceof Error ? cause.message : String(cause));
      this.#context.issues.error({ ...block, message: `the check of ${subject} failed: ${reason}` });
      return undefined;
    }
  }

  #shown({ definition, options }: Draft, message: string): string {
    if (definition === undefined || options === undefined) return message;
    return new HiddenValues(options.node, (path, node) => isHidden(definition.schema, path, node)).cutOut(message);
  }
}

interface Expected<Value> {
  readonly words: string;
  readonly isOne: (answer: unknown) => answer is Value;
}

const signalList: Expected<readonly Signal[]> = {
  words: `its signals should be a list of ${allSignals.join(', ')}`,
  isOne: (answer): answer is Signal[] => Array.isArray(answer) && answer.every((each) => allSignals.includes(each)),
};

const problemList: Expected<readonly OptionsProblem[]> = {
  words: 'it should give a list of { path, message }, at once',
  isOne: (answer): answer is OptionsProblem[] => Array.isArray(answer) && answer.every(isProblem),
};

function isProblem(given: Partial<OptionsProblem> | undefined): boolean {
  return Array.isArray(given?.path) && typeof given.message === 'string';
}

/** Says where a sink would never get anything, or reject a part. Gives what it takes of what comes. */
function checkSignals(
  { issues }: CheckContext,
  sink: SinkDraft,
  inputs: readonly SourceDraft[],
  asker: Asker,
): readonly Signal[] {
  const taken = asker.signalsOf(sink) ?? allSignals;
  const made = inputs.map((source) => ({ source, signals: asker.signalsOf(source) }));
  const coming = new Set(made.flatMap(({ signals = allSignals }) => signals));
  const rejected = made.flatMap(({ source, signals = [] }) => {
    const unfit = signals.filter((signal) => !taken.includes(signal));
    return unfit.length === 0 ? [] : [{ source, unfit }];
  });
  if (sink.definition === undefined || rejected.length === 0) return taken.filter((signal) => coming.has(signal));
  const report = { path: [...sink.block.path, 'inputs'], place: sinkEntry(sink, 'inputs').node.place };
  const takes = `${subjectOf(sink.definition)} takes ${listed(taken)}`;
  const sent = rejected.map(({ source, unfit }) => `${listed(unfit)} from "${source.id}"`).join('; ');
  if (taken.some((signal) => coming.has(signal))) {
    const message = `${takes} only, and rejects what else comes: ${sent}${remedy(rejected, taken)}`;
    issues.warn({ ...report, message });
  } else {
    issues.error({ ...report, message: `${takes}, and none will ever come: ${sent}; give it another source` });
  }
  return taken.filter((signal) => coming.has(signal));
}

/** Sources that can be told what to make are told so by the key "signals". */
function remedy(
  rejected: readonly { readonly source: SourceDraft; readonly unfit: readonly Signal[] }[],
  taken: readonly Signal[],
): string {
  const canChoose = rejected.every(({ source: { definition } }) => {
    return definition !== undefined && keysOf(definition.schema).includes('signals');
  });
  return canChoose ? `; a source that makes nothing else has "signals: [${taken.join(', ')}]"` : '';
}

/** `logs`, `logs and traces`. */
function listed(signals: readonly Signal[]): string {
  return signals.length === 0 ? 'nothing' : signals.join(' and ');
}
