// Reads what stands under `buffer`, or under an id of `buffers`: one buffer, or a list, which is an overflow chain.

import type { BufferSettings, BufferStageSettings } from '../contract/settings.ts';
import { type Block, type CheckContext, checkOptions, definitionOf, mapAt, subjectOf, textOf } from './config-check.ts';
import { type ConfigNode, type ConfigPath, find, type MapNode, type Place, withoutKeys } from './config-node.ts';
import { keysOf } from './schema-shape.ts';

const defaultType = 'disk';

interface BufferSource {
  readonly id: string;
  /** Undefined: the config says nothing, and the defaults hold. */
  readonly node: ConfigNode | undefined;
  readonly path: ConfigPath;
  readonly place: Place;
}

/** The buffer, or undefined: why is among the issues, or a stage's plugin was not to be loaded. */
export async function readBuffer(context: CheckContext, source: BufferSource): Promise<BufferSettings | undefined> {
  const blocks = stageBlocks(context, source);
  if (blocks === undefined) return undefined;
  const stages: BufferStageSettings[] = [];
  for (const [index, block] of blocks.entries()) {
    const isLast = index === blocks.length - 1;
    const stage = await readStage(context, checkOverflow(context, block, isLast));
    if (stage !== undefined) stages.push(stage);
  }
  return stages.length === blocks.length ? { id: source.id, stages } : undefined;
}

function stageBlocks(context: CheckContext, { node, path, place }: BufferSource): Block[] | undefined {
  const what = 'the options of a buffer, or a list of them for an overflow chain';
  if (node === undefined) return [{ node: { kind: 'map', place, entries: new Map() }, path, place }];
  if (node.kind !== 'list') {
    const map = mapAt(context, node, path, what);
    return map === undefined ? undefined : [{ node: map, path, place }];
  }
  if (node.items.length === 0) {
    context.issues.error({ path, place: node.place, message: `expected ${what}; found an empty list` });
    return undefined;
  }
  const blocks = node.items.map((item, index) => {
    const map = mapAt(context, item, [...path, index], 'the options of a buffer; a list holds no ids');
    return map === undefined ? undefined : { node: map, path: [...path, index], place: item.place };
  });
  return blocks.every((block) => block !== undefined) ? blocks : undefined;
}

/** Takes `when_full: overflow` away: it belongs to the chain, and the stage does not know of the next one. */
function checkOverflow(context: CheckContext, block: Block, isLast: boolean): Block {
  const found = find(block.node, block.place, ['when_full']);
  const isOverflow = textOf(found.node) === 'overflow';
  if (isOverflow && isLast) {
    const message = 'nothing to overflow to: no buffer stands behind this one in a list; expected another value';
    context.issues.error({ path: [...block.path, 'when_full'], place: found.place, message });
  }
  if (!isOverflow && !isLast) {
    const message = 'expected "when_full: overflow": otherwise the next buffer of the list would never be used';
    context.issues.error({ path: [...block.path, 'when_full'], place: found.place, message });
  }
  const drop = isOverflow || !isLast;
  const node: MapNode = drop ? withoutKeys(block.node, (key) => key === 'when_full') : block.node;
  return { ...block, node };
}

async function readStage(context: CheckContext, block: Block): Promise<BufferStageSettings | undefined> {
  const definition = await definitionOf(context, block, { kind: 'buffer', defaultType });
  if (definition === undefined) return undefined;
  const options = { ...block, node: withoutKeys(block.node, (key) => key === 'type') };
  const hasType = block.node.entries.has('type');
  const checked = await checkOptions(context, options, {
    schema: definition.schema,
    kind: 'buffer',
    subject: subjectOf(definition),
    otherKeys: ['type'],
    explain: (key, path) => {
      const other = path.length > 0 ? undefined : typeWithKey(context, key, definition.type);
      if (other === undefined) return undefined;
      // In Vector a buffer without a type is in memory.
      const because = hasType ? '' : `; without "type" a buffer is of type "${definition.type}"`;
      return `${subjectOf(definition)} has no such key, one of type "${other}" has${because}`;
    },
  });
  return checked === undefined ? undefined : { definition, options: checked.value };
}

function typeWithKey({ loader }: CheckContext, key: string, type: string): string | undefined {
  return loader.builtinsOf('buffer').find((each) => each.type !== type && keysOf(each.schema).includes(key))?.type;
}
