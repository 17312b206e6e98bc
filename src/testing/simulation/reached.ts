// Which branches a simulation must have been to: a green run proves nothing about a place where it never was.
import { listenToMarks } from '../../base/marks.ts';

/** The engine's marks that enough seeds reach. */
export const reachableMarks = [
  'buffer.never_writable',
  'committer.failed',
  'committer.resumed',
  'committer.stalled',
  'cursor.damaged',
  'cursor.rejected',
  'cursor.unconfirmed',
  'ledger.publish_failed',
  'ledger.publish_recovered',
  'ledger.slot_unreadable',
  'quarantine.kept',
  'quarantine.no_room',
  'reader.blocks_given_up',
  'reader.gap',
  'reader.hint_wrong',
  'reader.read_failed',
  'reclaimer.dropped_oldest',
  'recovery.ids_skipped',
  'recovery.ledger_lost',
  'recovery.row_D',
  'recovery.row_F',
  'recovery.row_G',
  'recovery.row_H',
  'recovery.row_I',
  'recovery.row_L',
  'recovery.row_M',
  'recovery.unclean',
  'recovery.unreadable',
  'segment.damage',
  'segment.damage_unreadable',
  'segment.read_by_blocks',
  'segment.rebuilt',
  'segment.unreadable_block',
  'writer.full',
  'writer.rolled',
] as const;

/** Counts marks until `stop` is called. */
export function countMarks(): { readonly counts: ReadonlyMap<string, number>; stop(): void } {
  const counts = new Map<string, number>();
  const stop = listenToMarks((mark) => counts.set(mark, (counts.get(mark) ?? 0) + 1));
  return { counts, stop };
}
