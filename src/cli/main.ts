#!/usr/bin/env node
// The program `spillway`.

import process from 'node:process';
import { processInvocation } from './process-invocation.ts';
import { runProgram } from './program.ts';

// By exit code, not by exit: what was written to a pipe must get there. What still holds the process up after a command
// has ended (a reader of stdin, a connection that lingers) is let go a moment later.
const exitCode = await runProgram(process.argv.slice(2), processInvocation());
process.exitCode = exitCode;
setTimeout(() => process.exit(exitCode), 500).unref();
