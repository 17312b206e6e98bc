// SIGKILL at drawn moments, under load: whatever had been reported as accepted is there afterwards, in order, exact,
// and under the key it always had. A kill keeps what the operating system was given, so this holds in every
// durability; with `memory` it holds for what a commit has covered.
import { describe, expect, test } from 'vitest';
import { byScale, onlyCase, repeatable, seedOr } from '../test/sweep.ts';
import { type LivesSummary, runLives } from './kill-lives.ts';

const file = import.meta.filename;
const seed = seedOr(1);

/** Directories, and lives in each. Every life but a few ends with a kill. */
const extent = byScale({
  sample: { sync: [1, 3], interval: [1, 3], os: [0, 0], memory: [0, 0] },
  full: { sync: [8, 10], interval: [8, 10], os: [3, 8], memory: [2, 8] },
} as const);

/** Seconds on an idle machine; a busy one must not be taken for a hanging buffer. */
const timeoutMs = byScale({ sample: 180_000, full: 20 * 60_000 });

/** At most this share of lives may end otherwise; the drawn share is far below. */
const otherEndsMax = 0.25;

for (const durability of ['sync', 'interval', 'os', 'memory'] as const) {
  const [directories, lives] = extent[durability];
  if (directories === 0) continue;
  describe('after a kill', () => {
    const name = `nothing accepted is lost with ${durability}`;
    test(name, { timeout: timeoutMs }, async () => {
      const only = onlyCase();
      const summaries: LivesSummary[] = [];
      for (let number = 0; number < directories; number++) {
        if (only !== undefined && only !== number) continue;
        const options = { seed, case: number, durability, lives };
        summaries.push(await repeatable({ file, name, seed, case: number }, () => runLives(options)));
      }
      const kills = summaries.reduce((sum, summary) => sum + summary.kills, 0);
      const accepted = summaries.reduce((sum, summary) => sum + summary.accepted, 0);
      // A run that killed nothing, or had nothing to lose, has proved nothing.
      expect(kills).toBeGreaterThanOrEqual(Math.floor(summaries.length * lives * (1 - otherEndsMax)));
      expect(accepted).toBeGreaterThan(0);
    });
  });
}
