// Counts tests for scripts/test.ts, which adds up several steps and prints one closing line.
// Vitest's own summary is meant for people; this is a small file with numbers and with every reason for a skip.
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Reporter, TestCase, TestModule } from 'vitest/node';

export type TestCounts = {
  readonly passed: number;
  readonly failed: number;
  /** Why tests were skipped, and how many for each reason. */
  readonly skipped: Readonly<Record<string, number>>;
};

const noReasonGiven = 'no reason given';

/** True if a test never started because its file or a group around it failed before; that failure counts by itself. */
function isStopped(test: TestCase): boolean {
  for (let parent: TestCase['parent'] | TestModule = test.parent; ; parent = parent.parent) {
    if (parent.errors().length > 0) return true;
    if (parent.type === 'module') return false;
  }
}

function skipReason(test: TestCase): string {
  const result = test.result();
  if (result.state === 'skipped' && result.note) return result.note;
  return isStopped(test) ? 'the set-up before it failed' : noReasonGiven;
}

// biome-ignore lint/style/noDefaultExport: vitest loads a reporter by its default export.
export default class CountReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    const target = process.env['SPILLWAY_TEST_COUNTS'];
    if (target === undefined) return;
    const skipped: Record<string, number> = {};
    let passed = 0;
    // An error outside every test (a file that does not load, a rejection nobody waits for) is a failure as well.
    let failed = unhandledErrors.length;
    for (const module of modules) {
      failed += module.errors().length;
      for (const suite of module.children.allSuites()) failed += suite.errors().length;
      for (const test of module.children.allTests()) {
        const state = test.result().state;
        if (state === 'passed') passed += 1;
        else if (state === 'skipped') {
          const reason = skipReason(test);
          skipped[reason] = (skipped[reason] ?? 0) + 1;
        } else failed += 1;
      }
    }
    const counts: TestCounts = { passed, failed, skipped };
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, JSON.stringify(counts));
  }
}
