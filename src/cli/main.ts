#!/usr/bin/env node
// The program `spillway`.
//
// Everything else is imported once the version of Node is known to be one that has what it needs: an older one would
// say that some module has no such export.

import process from 'node:process';

/** That of `engines` in package.json. */
const oldest = [22, 19] as const;

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < oldest[0] || (major === oldest[0] && minor < oldest[1])) {
  const found = process.versions.node;
  process.stderr.write(`error: spillway needs Node ${oldest.join('.')} or newer, and this is ${found}: install one\n`);
  process.exitCode = 2;
} else {
  const [{ processInvocation }, { runProgram }] = await Promise.all([
    import('./process-invocation.ts'),
    import('./program.ts'),
  ]);
  // By exit code, not by exit: what was written to a pipe must get there. What still holds the process up after a
  // command has ended (a reader of stdin, a connection that lingers) is let go a moment later.
  const exitCode = await runProgram(process.argv.slice(2), processInvocation());
  process.exitCode = exitCode;
  setTimeout(() => process.exit(exitCode), 500).unref();
}
