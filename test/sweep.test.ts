import { join } from 'node:path';
import { expect, it, vi } from 'vitest';
import { onlyCase, repeatable, repeatCommand, scale, seedOr } from './sweep.ts';
import { root } from './tidy/source.ts';

const prefix = scale === 'full' ? 'SPILLWAY_TEST_SCALE=full ' : '';

it('writes a command that a shell takes', () => {
  const file = join(root, 'src/engine/recovery.sim.test.ts');
  expect(repeatCommand({ file, name: "it's torn", seed: 42, case: 7 })).toBe(
    `${prefix}SPILLWAY_SEED=42 SPILLWAY_CASE=7 npm test -- src/engine/recovery.sim.test.ts -t 'it'\\''s torn'`,
  );
  expect(repeatCommand({ file: join(root, 'integration/kill.test.ts'), name: 'kill' })).toBe(
    "npm run test:integration -- integration/kill.test.ts -t 'kill'",
  );
});

it('takes seed and case from the environment and refuses nonsense', () => {
  vi.stubEnv('SPILLWAY_SEED', undefined);
  vi.stubEnv('SPILLWAY_CASE', undefined);
  expect([seedOr(5), onlyCase()]).toEqual([5, undefined]);
  vi.stubEnv('SPILLWAY_SEED', '42');
  vi.stubEnv('SPILLWAY_CASE', '0');
  expect([seedOr(5), onlyCase()]).toEqual([42, 0]);
  vi.stubEnv('SPILLWAY_CASE', 'all');
  expect(() => onlyCase()).toThrow('SPILLWAY_CASE is a whole number');
});

it('adds the command to what a case throws and keeps the cause', async () => {
  const what = { file: join(root, 'src/a.test.ts'), name: 'a', seed: 1 };
  const cause = new Error('lost record 7');
  await expect(repeatable(what, () => Promise.reject(cause))).rejects.toMatchObject({
    message: `lost record 7\nrepeat with: ${repeatCommand(what)}`,
    cause,
  });
  expect(await repeatable(what, () => 3)).toBe(3);
});
