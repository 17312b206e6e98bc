// Which branches a simulation must have been to: a green run proves nothing about a place where it never was.
import { listenToMarks } from '../../base/marks.ts';

/**
 * The engine's marks that some hundred seeds reach. Left out is what needs files from elsewhere (another buffer's, a
 * newer format's) or made for the purpose, and what is so rare that tests of its own show it.
 */
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
  'quarantine.copy_failed',
  'quarantine.kept',
  'quarantine.no_room',
  'quarantine.not_listed',
  'reader.blocks_given_up',
  'reader.gap',
  'reader.hint_wrong',
  'reader.read_failed',
  'reclaimer.dropped_oldest',
  'recovery.header_unreadable',
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
  'segment.damage',
  'segment.damage_unreadable',
  'segment.empty_header',
  'segment.header_by_halves',
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
