// Which tests do more at full scale than as a sample: a full run right after a sample has only these left to do.
//
// A test asks for the scale in SPILLWAY_TEST_SCALE, itself or through what it imports, directly or not: nothing else is
// looked at. A program that a test starts must not ask for it.
import { importsOf, repositoryFiles, resolveImport, type SourceFile } from '../test/tidy/source.ts';

const variable = 'SPILLWAY_TEST_SCALE';
const unitTest = /^(?:src|test|plugins\/[^/]+\/src|examples)\/.*\.test\.ts$/;
const onlyFull = /\.full\.test\.ts$|^test\/full\//;

/** Paths relative to the root. */
export function scaledTests(files: readonly SourceFile[] = repositoryFiles()): string[] {
  const scaled = new Set<string>();
  let next = files.filter(({ path, text }) => path.endsWith('.ts') && text.includes(variable));
  while (next.length > 0) {
    for (const { path } of next) scaled.add(path);
    next = files.filter((file) => file.path.endsWith('.ts') && !scaled.has(file.path) && imports(file, scaled));
  }
  const tests = files.map(({ path }) => path).filter((path) => unitTest.test(path));
  return tests.filter((path) => scaled.has(path) || onlyFull.test(path)).sort();
}

function imports(file: SourceFile, targets: ReadonlySet<string>): boolean {
  return importsOf(file).some(({ specifier }) => targets.has(resolveImport(file.path, specifier) ?? ''));
}
