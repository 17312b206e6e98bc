// What the fault tests found, one file for each subject: written into .cache/sink-results by every run that passes, and
// taken over into integration/sinks/results, which is committed, by `npm run docs:sinks`. docs/sinks.md shows those.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SinkFaultName, SinkSubject } from './sink-subject.ts';

export interface FaultResult {
  /** What it was in particular, where servers differ. */
  readonly what?: string;
  /** From before the fault began until its end: of a restart, how long it took. */
  readonly outageMs: number;
  /** From the end of the fault until everything accepted until then was acknowledged. */
  readonly recoveryMs: number;
  /** Events accepted while it lasted, and in the whole run. */
  readonly acceptedMeanwhile: number;
  readonly accepted: number;
  readonly missing: number;
  readonly repeats: number;
  readonly kills: number;
  readonly killsWithBatch: number;
  /** The most that the pipeline's process was seen to have. */
  readonly memoryBytes: number;
}

export interface SubjectResults {
  /** Of the server, as it said itself. Empty where there is no one server. */
  readonly version: string;
  readonly faults: Readonly<Partial<Record<SinkFaultName, FaultResult>>>;
  /** What tests of this server alone have measured, by what it is. */
  readonly figures: Readonly<Record<string, string>>;
}

/** A subject, or something else with figures on the page. */
type Named = Pick<SinkSubject, 'name'>;

/** What shared-buffer.test.ts finds. */
export const sharedBuffer: Named = { name: 'Three sinks on one buffer' };

const root = join(import.meta.dirname, '../..');
/** Of the runs on this machine. */
export const measuredFolder: string = process.env['SPILLWAY_SINK_RESULTS'] ?? join(root, '.cache/sink-results');
/** What docs/sinks.md is made of. */
export const committedFolder: string = join(import.meta.dirname, 'results');

export function resultsPath(folder: string, { name }: Named): string {
  const slug = name.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-');
  return join(folder, `${slug}.json`);
}

export function readResults(folder: string, subject: Named): SubjectResults | undefined {
  const path = resultsPath(folder, subject);
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as SubjectResults) : undefined;
}

export function writeResults(folder: string, subject: Named, results: SubjectResults): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(resultsPath(folder, subject), `${JSON.stringify(results, null, 2)}\n`);
}

/** Later ones take the place of earlier ones; what was not run again stays. */
export function joinResults(earlier: SubjectResults | undefined, later: SubjectResults): SubjectResults {
  return {
    version: later.version,
    faults: { ...earlier?.faults, ...later.faults },
    figures: { ...earlier?.figures, ...later.figures },
  };
}

/** The tests of a subject are in one file and run one after the other: nobody else writes its results. */
function record(subject: Named, later: SubjectResults): void {
  writeResults(measuredFolder, subject, joinResults(readResults(measuredFolder, subject), later));
}

export function recordFault(subject: SinkSubject, fault: SinkFaultName, version: string, result: FaultResult): void {
  record(subject, { version, faults: { [fault]: result }, figures: {} });
}

/** For a test that only this server has: `what` was measured, and the answer in words. Both stand on the page. */
export function recordFigure(subject: Named, version: string, what: string, answer: string): void {
  record(subject, { version, faults: {}, figures: { [what]: answer } });
}
