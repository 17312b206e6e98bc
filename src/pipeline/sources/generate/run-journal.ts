// What every run of a source sent, one line each, so that whoever counts what arrived knows what was sent.
//
// A line is overwritten in place after each answer of the buffers, before the next batch, and not synced: the kernel
// has it, so it survives the death of the process. After a SIGKILL it is at most one batch behind: that batch may have
// been accepted without a line that says so, so a receiver may find numbers above `last`, never a hole below it. After
// a power cut it may be further behind. A run's number is never used again: the next start is a run with a new name.
//
//   run 9f2c61d07a3be845 last 0000000000152000 dropped 0000000000000000

import type { FileHandle } from '../../../platform/file-system.ts';
import type { HostFiles } from '../../../platform/host-files.ts';

/** The name of the file in the source's state directory. */
export const runJournalName = 'runs';

export interface RunLine {
  readonly run: string;
  /** The highest number that the buffers have answered for. */
  readonly last: number;
  /** Events among them that a policy dropped. */
  readonly dropped: number;
}

export function parseRuns(journal: string): RunLine[] {
  const lines = journal.matchAll(/^run ([0-9a-f]{16}) last (\d{16}) dropped (\d{16})$/gm);
  return [...lines].map(([, run = '', last, dropped]) => ({ run, last: Number(last), dropped: Number(dropped) }));
}

export function formatRun({ run, last, dropped }: RunLine): string {
  const digits = (count: number): string => String(count).padStart(16, '0');
  return `run ${run} last ${digits(last)} dropped ${digits(dropped)}\n`;
}

export class RunJournal {
  readonly earlier: readonly RunLine[];
  readonly #file: FileHandle;
  readonly #position: number;

  private constructor(given: { earlier: readonly RunLine[]; file: FileHandle; position: number }) {
    this.earlier = given.earlier;
    this.#file = given.file;
    this.#position = given.position;
  }

  static async open(files: HostFiles, directory: string): Promise<RunJournal> {
    await files.makeDirectories(directory);
    const path = `${directory}/${runJournalName}`;
    const journal = (await files.readText(path)) ?? '';
    const file = await files.openToWrite(path);
    const byteLength = new TextEncoder().encode(journal).length;
    const isWhole = journal === '' || journal.endsWith('\n');
    if (!isWhole) await writeWhole(file, '\n', byteLength); // Torn by a crash: it stays, and counts for nothing.
    return new RunJournal({ earlier: parseRuns(journal), file, position: byteLength + (isWhole ? 0 : 1) });
  }

  /** Writes the line of this run anew. */
  async note(line: RunLine): Promise<void> {
    await writeWhole(this.#file, formatRun(line), this.#position);
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}

async function writeWhole(file: FileHandle, text: string, position: number): Promise<void> {
  const bytes = new TextEncoder().encode(text);
  for (let done = 0; done < bytes.length; ) done += await file.write(bytes.subarray(done), position + done);
}
