// What has to be done before this process is gone, however it goes: by itself, by a signal, or because the runner that
// started it went. A SIGKILL, to us or to the runner, cannot be helped; `.ci/run` removes containers by their label.
//
// A signal without a listener ends a process at once, without 'exit', so there is one as long as there is something to
// do. It cannot call process.exit, which a test runner does not allow: it sends the signal again, without a listener.
const actions = new Set<() => void>();
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

function act(): void {
  // What came last goes first: a client before its server.
  for (const action of [...actions].reverse()) action();
  actions.clear();
  unlisten();
}

function leave(signal: NodeJS.Signals): void {
  act();
  process.kill(process.pid, signal);
}

/** The runner is gone, and nobody waits for us any more. */
function leaveAlone(): void {
  act();
  process.kill(process.pid, 'SIGKILL');
}

function listen(): void {
  process.on('exit', act);
  process.on('disconnect', leaveAlone);
  for (const signal of signals) process.on(signal, leave);
}

function unlisten(): void {
  process.off('exit', act);
  process.off('disconnect', leaveAlone);
  for (const signal of signals) process.off(signal, leave);
}

/** `action` must be synchronous and short: a runner that ends does not wait long. Gives what takes it back. */
export function beforeExit(action: () => void): () => void {
  if (actions.size === 0) listen();
  actions.add(action);
  return () => {
    if (actions.delete(action) && actions.size === 0) unlisten();
  };
}
