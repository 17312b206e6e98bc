// The order in which test files of the integration suite start: those that take minutes first, or the last of them
// would run alone in the end while the other workers have nothing to do. Vitest goes by a file's length where it has
// not run it before, and the longest of these are short to read.
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** The earlier, the longer. */
export const longFiles: readonly string[] = [
  'opentelemetry-faults',
  'file-tail-kill',
  'pipeline-kill',
  'kill',
  'collector',
  'docker-image',
];
const servers = '/integration/sinks/';

/** Those of the servers come behind the longest: there are many of them, and each is about as long as the next. */
export function rankOf(path: string): number {
  const rank = longFiles.findIndex((name) => path.endsWith(`/${name}.test.ts`));
  if (rank === 0) return 0;
  if (path.includes(servers)) return 1;
  return rank === -1 ? longFiles.length + 1 : rank + 1;
}

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const groupOf = ({ project }: TestSpecification): number => project.config.sequence.groupOrder;
    const rank = ({ moduleId }: TestSpecification): number => rankOf(moduleId);
    // Vitest's own order is kept among files of one rank.
    return (await super.sort(files)).toSorted(
      (left, right) => groupOf(left) - groupOf(right) || rank(left) - rank(right),
    );
  }
}
