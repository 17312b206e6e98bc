// docs/sinks.md is what the committed results and the words of the subjects make, and the page says what was found.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { joinResults, type SubjectResults } from '../integration/sinks/sink-results.ts';
import { faultsOf, type SinkSubject, sinkFaultNames } from '../integration/sinks/sink-subject.ts';
import { subjects } from '../integration/sinks/subjects.ts';
import { sinkDocuments } from '../scripts/sink-documents.ts';
import { sinkPage } from '../scripts/sink-page.ts';
import { repositoryFiles, root } from './tidy/source.ts';

it.each(Object.entries(sinkDocuments()))('%s is current: npm run docs:sinks', (path, text) => {
  expect(readFileSync(join(root, path), 'utf8')).toBe(text);
});

it('shows every subject that there is', () => {
  const files = repositoryFiles().filter(({ path }) => /^integration\/sinks\/[^/]+\.ts$/.test(path));
  const declared = files.flatMap(({ text }) => [...text.matchAll(/^export const \w+: SinkSubject = \{$/gm)]);
  expect(declared).toHaveLength(subjects.length);
});

describe('the names of the subjects', () => {
  const names = subjects.map(({ name }) => name);

  it('are all different: they are those of their results', () => expect(new Set(names).size).toBe(names.length));
  it.each(names)('%s is found by -t, which takes a regular expression', (name) => expect(name).toMatch(/^[\w ,:.-]+$/));
});

const subject: SinkSubject = {
  name: 'Made Up (5.0)',
  plugin: 'spillway-made-up',
  images: [],
  keepsOrder: true,
  repeats: 'possible',
  losesWith: ['killed'],
  notApplicable: { starved: 'it needs nothing' },
  acknowledgement: 'it has heard of it.',
  setUp: 'nothing',
  repeatsBecause: 'It forgets.',
  caveats: ['Not to be had.'],
  start: () => Promise.reject(new Error('it is made up')),
};
const paused = {
  outageMs: 2_345,
  recoveryMs: 1_250,
  acceptedMeanwhile: 4_000,
  accepted: 12_345,
  missing: 0,
  repeats: 7,
  kills: 2,
  killsWithBatch: 1,
  memoryBytes: 300 * 2 ** 20,
};
const killed = { ...paused, missing: 1_234, repeats: 0, what: 'twice' };
const results: SubjectResults = { version: '5.0.1', faults: { paused, killed }, figures: { Speed: '3 a day' } };

describe('the page', () => {
  const page = sinkPage([{ subject, results }]);

  it.each([
    '| [Made Up (5.0)](#made-up-50) | 5.0.1 | kept | possible: 7 here | 1,234 of 24,690 |',
    '| paused | 2.3 s | 4,000 | 0 | 7 | 1.3 s |',
    '| killed: twice | 2.3 s | 4,000 | 1,234 of 12,345 | 0 | 1.3 s |',
    '| starved | does not apply: it needs nothing |  |  |  |  |',
    '| reset | not run yet |  |  |  |  |',
    '- **Acknowledged** means: it has heard of it.',
    '- **Order** is kept. **Repeats** are possible. It forgets.',
    '- Not to be had.',
    '- Speed: 3 a day',
    'The pipeline was killed 4 times, 2 of them with a batch at the sink. It never had more than 300 MiB',
  ])('says %s', (line) => expect(page.split('\n')).toContain(line));

  it('has a row for every fault of the subject', () => {
    const rowsOf = (of: SinkSubject): number => {
      const found = sinkPage([{ subject: of, results }]);
      return found.slice(found.indexOf('## Made Up')).match(/^\| (?!fault|---)/gm)?.length ?? 0;
    };
    expect(rowsOf(subject)).toBe(faultsOf(subject).length);
    expect(rowsOf({ ...subject, runsOutOfMemory: true })).toBe(sinkFaultNames.length);
    expect(faultsOf(subject)).not.toContain('out of memory');
  });

  it('has no long lines but in tables', () => {
    const lines = sinkPage([{ subject: { ...subject, acknowledgement: 'yes '.repeat(200) }, results }]).split('\n');
    expect(lines.filter((line) => line.length > 100 && !line.startsWith('|'))).toEqual([]);
  });

  it('has what else was measured at its end', () => {
    const page = sinkPage([], { 'Three on one': { 'With two': '5 a second.' }, More: {} });
    expect(page.endsWith('## Three on one\n\n- With two: 5 a second.\n\n## More\n\nNot run yet.\n')).toBe(true);
  });

  it('says that there are no results', () => {
    expect(sinkPage([{ subject, results: undefined }])).toContain('There are no results of it yet.');
  });
});

it('a later result takes the place of an earlier one, and the others stay', () => {
  const later = { version: '5.0.2', faults: { killed: paused }, figures: { Weight: '1 kg' } };
  expect(joinResults(results, later)).toEqual({
    version: '5.0.2',
    faults: { paused, killed: paused },
    figures: { Speed: '3 a day', Weight: '1 kg' },
  });
});
