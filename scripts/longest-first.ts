// The order in which test files start: those that take minutes first, or the last of them would run alone in the end
// while the other workers have nothing to do. Vitest goes by a file's length where it has not run it before, and the
// longest of these are short to read.
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** The earlier, the longer. Those of the servers stand in one place: there are many, each about as long as the next. */
export const longFiles: readonly string[] = [
  'src/engine/disk-buffer.faults.sim',
  'src/engine/writer.sim',
  'src/engine/disk-buffer.crash.sim',
  'src/engine/disk-buffer.rot.sim',
  'src/engine/disk-buffer.model.full',
  'integration/opentelemetry-faults',
  'integration/sinks/',
  'integration/file-tail-kill',
  'integration/pipeline-kill',
  'integration/kill',
  'integration/collector',
  'integration/docker-image',
];

export function rankOf(path: string): number {
  const rank = longFiles.findIndex((name) =>
    name.endsWith('/') ? path.includes(`/${name}`) : path.endsWith(`/${name}.test.ts`),
  );
  return rank === -1 ? longFiles.length : rank;
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
