// A file that shares its process must leave it as it was: whatever one file leaves behind, another one trips over, and
// only in some orders. Here the file that did it fails, in every order: sockets, servers, timers, watchers and programs
// that still run, listeners of the process, its environment, folder and mask, what is global, and what is registered
// with OpenTelemetry.
//
// What was closed needs a moment until it is gone, so the comparison is made until it holds, within a generous limit,
// as long as nothing is among it that does not go by itself.
// The failure is about a file and not about a test: whichever of its tests left this, the name would be a guess.
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll } from 'vitest';

const limitMs = 20_000;
/** Kinds of process.getActiveResourcesInfo. The others come and go with the runner: its pipe, its own files. */
const kinds: ReadonlySet<string> = new Set([
  'TCPServerWrap',
  'TCPSocketWrap',
  'PipeServerWrap',
  'UDPWrap',
  'FSEventWrap',
  'StatWatcher',
  'ProcessWrap',
  'Worker',
  'Timeout',
]);
/** The limit of the hook in which this looks. */
const timersOfRunner = 1;

type Counts = ReadonlyMap<string, number>;

function registered(): string[] {
  const api: unknown = Reflect.get(globalThis, Symbol.for('opentelemetry.js.api.1'));
  return Object.keys(api ?? {}).filter((key) => key !== 'version');
}

/** Libraries put theirs under symbols, or under their name, when they are loaded: once for all files. */
function globals(): string[] {
  return Object.getOwnPropertyNames(globalThis).filter((name) => !name.startsWith('__'));
}

function look(): Counts {
  const counts = new Map<string, number>();
  const add = (name: string, count = 1): unknown => counts.set(name, (counts.get(name) ?? 0) + count);
  for (const kind of process.getActiveResourcesInfo()) if (kinds.has(kind)) add(kind);
  for (const event of process.eventNames()) add(`process.on ${String(event)}`, process.listenerCount(event));
  for (const [name, value] of Object.entries(process.env)) add(`environment ${name}=${value}`);
  for (const name of globals()) add(`global ${name}`);
  for (const name of registered()) add(`OpenTelemetry ${name}`);
  add(`folder ${process.cwd()}`);
  add(`mask ${process.umask().toString(8)}`);
  return counts;
}

const before = look();

/** What is there no more once something has closed that is about to. */
function goesByItself(change: string): boolean {
  return change.startsWith('process.on ') || kinds.has(change.slice(0, change.indexOf(':')));
}

function changes(): string[] {
  const now = look();
  const found: string[] = [];
  for (const name of new Set([...before.keys(), ...now.keys()])) {
    const [had, has] = [before.get(name) ?? 0, now.get(name) ?? 0];
    // Fewer of what runs by itself is nothing that this file has left.
    const changed = kinds.has(name) ? has > had + (name === 'Timeout' ? timersOfRunner : 0) : has !== had;
    if (changed) found.push(`${name}: ${had} before, ${has} now`);
  }
  return found;
}

afterAll(async () => {
  const since = performance.now();
  let left = changes();
  while (left.length > 0 && left.every(goesByItself) && performance.now() - since < limitMs) {
    await pause(10, undefined, { ref: false });
    left = changes();
  }
  if (left.length > 0) {
    throw new Error(
      `this file leaves something in the process that others run in: close it, or undo it\n  ${left.join('\n  ')}`,
    );
  }
}, 3 * limitMs);
