// docs/sinks.md: what each sink promises, in the words of its subject, and what the fault tests found.
import type { FaultResult, SubjectResults } from '../integration/sinks/sink-results.ts';
import { faultsOf, type SinkFaultName, type SinkSubject } from '../integration/sinks/sink-subject.ts';

export interface SinkSection {
  readonly subject: SinkSubject;
  /** Undefined: never run. */
  readonly results: SubjectResults | undefined;
}

const columnsMax = 100;
const generator = 'npm run docs:sinks';

const meanings: Readonly<Record<SinkFaultName, string>> = {
  paused: 'the server stands still; connections stay open, nobody answers',
  killed: 'SIGKILL, and started again later',
  restarted: 'asked to end, and started again',
  'cut off': 'taken off its network, and put back',
  blackholed: 'packets to it vanish',
  reset: 'every packet to it is answered with a TCP reset',
  'out of memory': 'its container may have no more memory, and the kernel kills the server',
  slow: 'the link carries 256 kbit/s each way',
  starved: 'the server runs out of memory or disk',
  'wrong password': 'the server no longer takes our password, and throws us out; then it does again',
  'pipeline killed': 'the server is well; the pipeline is killed four times in a row',
};

/** What else was measured, by what it is; the headings of the sections at the end. */
export type MoreFigures = Readonly<Record<string, SubjectResults['figures']>>;

export function sinkPage(sections: readonly SinkSection[], more: MoreFigures = {}): string {
  return `${[
    '# Sinks and their servers',
    wrapped(
      `What became of events while real servers had real faults. This page is generated (\`${generator}\`) from ` +
        'the results of the tests in `integration/sinks/`, which [testing.md](testing.md) explains; the figures are ' +
        'those of one run on a small machine, and a test holds everything else in every run.',
    ),
    wrapped(
      'In each test a load sends about a thousand numbered events a second, none of them twice, to a pipeline ' +
        'with a disk buffer (`durability: sync`), and goes on whatever happens. The pipeline is killed with SIGKILL ' +
        'while the fault lasts and once more afterwards, with a batch at the sink. In the end every event that the ' +
        'pipeline had accepted must be with the server, nothing may be left in the buffer, and memory may not ' +
        'have grown.',
    ),
    table(['fault', 'what happens'], Object.entries(meanings)),
    '## At a glance',
    table(['sink', 'server', 'order', 'repeats', 'lost'], sections.map(summaryRow)),
    ...sections.flatMap(sectionParts),
    ...Object.entries(more).flatMap(([heading, figures]) => [`## ${heading}`, figureList(figures)]),
  ].join('\n\n')}\n`;
}

function summaryRow({ subject, results }: SinkSection): readonly string[] {
  const faults = Object.values(results?.faults ?? {});
  const sum = (of: (result: FaultResult) => number): number => faults.reduce((total, result) => total + of(result), 0);
  const repeats = subject.repeats === 'none' ? 'none' : `possible: ${count(sum((result) => result.repeats))} here`;
  const order = subject.keepsOrder ? 'kept' : 'not kept';
  const link = `[${subject.name}](#${subject.name
    .toLowerCase()
    .replaceAll(/[^a-z0-9 -]/g, '')
    .replaceAll(' ', '-')})`;
  const lost = `${count(sum((result) => result.missing))} of ${count(sum((result) => result.accepted))}`;
  return [link, results?.version ?? 'not run yet', order, repeats, lost];
}

function sectionParts({ subject, results }: SinkSection): string[] {
  const order = subject.keepsOrder ? '**Order** is kept.' : '**Order** is not kept.';
  const repeats = subject.repeats === 'none' ? '**Repeats**: none.' : '**Repeats** are possible.';
  const figures = results?.figures ?? {};
  return [
    `## ${subject.name}`,
    results === undefined
      ? `${packageOf(subject)}. There are no results of it yet.`
      : `${packageOf(subject)}, with version ${results.version} of the server.`,
    [
      item(`**Acknowledged** means: ${subject.acknowledgement}`),
      item(`**Set up** with ${subject.setUp}.`),
      item(`${order} ${repeats} ${subject.repeatsBecause}`),
      ...(subject.caveats ?? []).map(item),
    ].join('\n'),
    table(
      ['fault', 'lasted', 'accepted meanwhile', 'missing', 'repeats', 'all there after'],
      faultsOf(subject).map((fault) => faultRow(subject, fault, results?.faults[fault])),
    ),
    ...(results === undefined ? [] : [wrapped(killsOf(Object.values(results.faults)))]),
    ...(Object.keys(figures).length === 0 ? [] : [figureList(figures)]),
  ];
}

function packageOf({ plugin }: SinkSubject): string {
  return plugin === undefined ? 'Built in' : `Package \`${plugin}\``;
}

function killsOf(faults: readonly FaultResult[]): string {
  const sum = (of: (result: FaultResult) => number): number => faults.reduce((total, result) => total + of(result), 0);
  const memoryMiB = Math.round(Math.max(0, ...faults.map(({ memoryBytes }) => memoryBytes)) / 2 ** 20);
  const kills = `${sum((result) => result.kills)} times, ${sum((result) => result.killsWithBatch)} of them`;
  const memory = `It never had more than ${memoryMiB} MiB of memory.`;
  return `The pipeline was killed ${kills} with a batch at the sink. ${memory}`;
}

function faultRow(subject: SinkSubject, fault: SinkFaultName, result: FaultResult | undefined): readonly string[] {
  const why = subject.notApplicable?.[fault];
  if (why !== undefined) return [fault, `does not apply: ${why}`, '', '', '', ''];
  if (result === undefined) return [fault, 'not run yet', '', '', '', ''];
  const { outageMs, acceptedMeanwhile, missing, accepted, repeats, recoveryMs, what } = result;
  const lost = missing === 0 ? '0' : `${count(missing)} of ${count(accepted)}`;
  const name = what === undefined ? fault : `${fault}: ${what}`;
  return [name, seconds(outageMs), count(acceptedMeanwhile), lost, count(repeats), seconds(recoveryMs)];
}

function figureList(figures: SubjectResults['figures']): string {
  const items = Object.entries(figures).map(([what, answer]) => item(`${what}: ${answer}`));
  return items.length === 0 ? 'Not run yet.' : items.join('\n');
}

function count(number: number): string {
  return number.toLocaleString('en-US');
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}

function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const [head, ...lines] = [header, ...rows].map((cells) => `| ${cells.join(' | ')} |`);
  return [head, `|${'---|'.repeat(header.length)}`, ...lines].join('\n');
}

function item(text: string): string {
  return wrapped(`- ${text}`, '  ');
}

/** Lines of at most a hundred columns, where no word is longer. What is quoted as code stays on one line. */
function wrapped(text: string, indent = ''): string {
  const lines: string[] = [];
  let line = '';
  for (const word of text.match(/(?:[^\s`]|`[^`]*`)+/g) ?? []) {
    if (line !== '' && line.length + 1 + word.length > columnsMax) {
      lines.push(line);
      line = `${indent}${word}`;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line].join('\n');
}
