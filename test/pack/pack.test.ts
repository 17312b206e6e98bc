import { rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, type TestContext } from 'vitest';
import { readManifest } from '../tidy/agreements.ts';
import { compileAgainst, consume, install, OutOfReach, otherNode, type Packed, pack } from './tarball.ts';

// The oldest Node that package.json admits and, in the full run, the newest one that the package is tried on.
const oldest = '22.19.0';
const newest = '26.10.0';
const full = process.env['SPILLWAY_TEST_SCALE'] === 'full';

let packed: Packed;
let unreachable: OutOfReach | undefined;

beforeAll(async () => {
  packed = await pack();
  try {
    await install(packed);
  } catch (error) {
    if (!(error instanceof OutOfReach)) throw error;
    unreachable = error;
  }
});

afterAll(() => {
  if (packed !== undefined) rmSync(dirname(packed.tarball), { recursive: true, force: true });
});

async function consumeUnder(version: string, context: TestContext): Promise<string> {
  if (unreachable !== undefined) context.skip(unreachable.message);
  let node: string | undefined;
  try {
    node = await otherNode(version);
  } catch (error) {
    if (error instanceof OutOfReach) context.skip(error.message);
    throw error;
  }
  if (node === undefined) context.skip(`no Node ${version} is packaged for ${process.platform}-${process.arch}`);
  return consume(node as string, packed);
}

describe('the packed tarball', () => {
  it('holds what is published and nothing else', () => {
    const expected =
      /^(?:dist\/.+\.(?:js|js\.map|d\.ts|d\.ts\.map)|(?:package|config\.schema)\.json|[A-Z]+\.md|LICENSE)$/;
    expect(packed.files.filter((file) => !expected.test(file))).toEqual([]);
    expect(packed.files.filter((file) => /\.(?:test|bench)\./.test(file))).toEqual([]);
    expect(packed.files).toEqual(expect.arrayContaining(['LICENSE', 'README.md', 'CHANGELOG.md', 'package.json']));
    for (const target of Object.values(readManifest().exports)) {
      if (typeof target === 'string') {
        expect(packed.files).toContain(target.replace(/^\.\//, ''));
        continue;
      }
      for (const condition of ['types', 'default']) {
        expect(packed.files).toContain(target[condition]?.replace(/^\.\//, ''));
      }
    }
  });

  it('has types that compile under a strict configuration of somebody else', async (context) => {
    if (unreachable !== undefined) context.skip(unreachable.message);
    const names = Object.keys(readManifest().exports).filter((name) => !name.endsWith('.json'));
    await compileAgainst(
      packed,
      names.map((name) => name.replace('.', 'spillway')),
    );
  });

  it('works under the Node of this repository', async (context) => {
    if (unreachable !== undefined) context.skip(unreachable.message);
    expect(await consume(process.execPath, packed)).toBe(`ok ${process.version}`);
  });

  it(`works under Node ${oldest}, the oldest it admits`, async (context) => {
    expect(await consumeUnder(oldest, context)).toBe(`ok v${oldest}`);
  });

  // Not a skip: the short run does not promise it.
  if (full) {
    it(`works under Node ${newest}`, async (context) => {
      expect(await consumeUnder(newest, context)).toBe(`ok v${newest}`);
    });
  }
});
