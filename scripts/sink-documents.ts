// Writes docs/sinks.md from what the fault tests of the sinks have found:
//   npm run docs:sinks                   from the results that are committed, after a change of the words
//   npm run docs:sinks -- --take-over    with what was measured on this machine in place of them, where there is any
// A test fails while the page is not what this would write.
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import {
  committedFolder,
  joinResults,
  measuredFolder,
  readResults,
  sharedBuffer,
  writeResults,
} from '../integration/sinks/sink-results.ts';
import { subjects } from '../integration/sinks/subjects.ts';
import { sinkPage } from './sink-page.ts';

const root = dirname(import.meta.dirname);

/** What each file holds, by its path in the repository. */
export function sinkDocuments(): Readonly<Record<string, string>> {
  const sections = subjects.map((subject) => ({ subject, results: readResults(committedFolder, subject) }));
  const { figures = {} } = readResults(committedFolder, sharedBuffer) ?? {};
  return { 'docs/sinks.md': sinkPage(sections, { [sharedBuffer.name]: figures }) };
}

/** Moves what was measured here to what is committed. A fault that was not run again keeps its result. */
function takeOver(): void {
  for (const subject of [...subjects, sharedBuffer]) {
    const measured = readResults(measuredFolder, subject);
    if (measured === undefined) continue;
    writeResults(committedFolder, subject, joinResults(readResults(committedFolder, subject), measured));
  }
}

if (process.argv[1] === import.meta.filename) {
  if (process.argv.includes('--take-over')) takeOver();
  for (const [path, text] of Object.entries(sinkDocuments())) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
}
