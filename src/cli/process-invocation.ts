// The process that `spillway` was started in.

import process from 'node:process';
import type { Writable } from 'node:stream';
import { NodeHostFiles } from '../platform/node-host-files.ts';
import { nodePlatform } from '../platform/node-platform.ts';
import { isGone } from '../platform/output-stream.ts';
import type { Invocation } from './invocation.ts';
import type { Output } from './terminal.ts';

const stopSignals = ['SIGINT', 'SIGTERM'] as const;

export function processInvocation(): Invocation {
  const { clock, random, fileSystem } = nodePlatform();
  return {
    terminal: { out: outputOf(process.stdout), err: outputOf(process.stderr) },
    world: { clock, random, fileSystem, files: new NodeHostFiles() },
    env: process.env,
    workingDirectory: process.cwd(),
    onStopRequest: (listener) => {
      for (const signal of stopSignals) process.on(signal, listener);
      return () => {
        for (const signal of stopSignals) process.off(signal, listener);
      };
    },
    isAlive,
  };
}

export function outputOf(stream: Writable & { readonly isTTY?: boolean }): Output {
  // A reader that goes away (`| head`) is no reason to fail: what it wanted, it has. Node raises it as an event, and
  // would end the process where nobody listens.
  const gone = new AbortController();
  stream.on('error', (cause) => {
    if (isGone(cause)) gone.abort();
  });
  const wantsNoColor = process.env['NO_COLOR'] !== undefined && process.env['NO_COLOR'] !== '';
  return {
    write: (text) => {
      if (!gone.signal.aborted) stream.write(text);
    },
    isTerminal: stream.isTTY === true && !wantsNoColor,
    readerGone: gone.signal,
    get waitingBytes() {
      return stream.writableLength;
    },
  };
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (cause) {
    return cause instanceof Error && 'code' in cause && cause.code === 'EPERM';
  }
}
