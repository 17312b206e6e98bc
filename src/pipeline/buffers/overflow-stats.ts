// What a chain says of itself: the sum of its stages, and the worst of their states.

import type { LedgerTotals } from '../../engine/ledger-slot.ts';
import type { PipelineBuffer, PipelineBufferStats } from '../contract/buffer.ts';

/** From the best to the worst. */
const states: readonly string[] = ['open', 'starting', 'stalled', 'failed'];

/** The id behind everything that a stage has admitted. */
export function endIdOf(stage: PipelineBuffer): number {
  const [cursor] = stage.stats().cursors;
  return cursor === undefined ? 1 : cursor.nextId + cursor.backlog.events;
}

export function chainStats(
  stages: readonly PipelineBuffer[],
  chain: {
    readonly uuid: string;
    readonly life: 'open' | 'closing' | 'closed';
    readonly positions: readonly { readonly name: string; readonly nextId: number }[];
  },
): PipelineBufferStats {
  const all = stages.map((stage) => stage.stats());
  const worst = all.reduce((one, other) => (states.indexOf(other.state) > states.indexOf(one.state) ? other : one));
  const backlogs = chain.positions.map(({ name }) =>
    sumOf(all.map(({ cursors }) => cursors.find((cursor) => cursor.name === name)?.backlog)),
  );
  const largest = backlogs.reduce((one, other) => (other.events > one.events ? other : one), { events: 0, bytes: 0 });
  return {
    state: chain.life === 'open' ? worst.state : chain.life,
    failure: worst.failure,
    uuid: chain.uuid,
    maxRecordBytes: all.at(-1)?.maxRecordBytes,
    backlog: largest,
    disk: {
      usedBytes: all.reduce((sum, { disk }) => sum + disk.usedBytes, 0),
      maxBytes: all.reduce((sum, { disk }) => sum + disk.maxBytes, 0),
    },
    ...totalsOf(all),
    waitingAppends: all.reduce((sum, { waitingAppends }) => sum + waitingAppends, 0),
    cursors: chain.positions.map((position, at) => ({ ...position, backlog: backlogs[at] ?? { events: 0, bytes: 0 } })),
    stages: all,
  };
}

interface Amount {
  readonly events: number;
  readonly bytes: number;
}

/** Every record is in one stage; a stage that does not count makes the sum unknown. */
function totalsOf(stages: readonly PipelineBufferStats[]): { readonly totals?: LedgerTotals } {
  const all = stages.flatMap(({ totals }) => (totals === undefined ? [] : [totals]));
  if (all.length < stages.length) return {};
  const removedFor = (reason: keyof LedgerTotals['removed']): Amount =>
    sumOf(all.map(({ removed }) => removed[reason]));
  return {
    totals: {
      appended: sumOf(all.map(({ appended }) => appended)),
      acknowledged: sumOf(all.map(({ acknowledged }) => acknowledged)),
      damaged: sumOf(all.map(({ damaged }) => damaged)),
      removed: {
        rejected: removedFor('rejected'),
        dropped_oldest: removedFor('dropped_oldest'),
        dropped_newest: removedFor('dropped_newest'),
        disk_full: removedFor('disk_full'),
        unconfirmed: removedFor('unconfirmed'),
      },
    },
  };
}

function sumOf(amounts: readonly (Amount | undefined)[]): Amount {
  let [events, bytes] = [0, 0];
  for (const amount of amounts) {
    events += amount?.events ?? 0;
    bytes += amount?.bytes ?? 0;
  }
  return { events, bytes };
}
