// Programs that a benchmark runs in processes of their own: to be killed, or to be measured without our heap.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

/**
 * Starts a program of this folder. It reads its task from the arguments and answers by messages. From the second time
 * on it takes its code from a cache in `scratch`: a user's process runs JavaScript, and would not pay the 40 MiB and
 * the time that the removal of types takes.
 */
export function startChild(scratch: string, program: string, task: unknown): ChildProcess {
  return fork(join(import.meta.dirname, program), [JSON.stringify(task)], {
    execArgv: ['--expose-gc', '--conditions=spillway-source'],
    env: { ...process.env, NODE_COMPILE_CACHE: join(scratch, 'compiled') },
  });
}

/** The next message of the child. Rejects if it ends before. */
export async function messageOf<Message>(child: ChildProcess): Promise<Message> {
  const ended = new AbortController();
  const message = once(child, 'message', { signal: ended.signal });
  const end = once(child, 'exit', { signal: ended.signal }).then(([code, signal]) => {
    throw new Error(`the process ended before it answered: ${code ?? signal}`);
  });
  try {
    const [answer] = (await Promise.race([message, end])) as [Message];
    return answer;
  } finally {
    ended.abort();
    await Promise.allSettled([message, end]);
  }
}

/** Runs a program that answers once and ends. */
export async function runChild<Answer>(scratch: string, program: string, task: unknown): Promise<Answer> {
  const child = startChild(scratch, program, task);
  const ended = once(child, 'exit');
  const answer = await messageOf<Answer>(child);
  await ended;
  return answer;
}

/** The task that {@link startChild} was given, inside the child. */
export function taskOfThisProcess<Task>(): Task {
  return JSON.parse(process.argv[2] ?? 'null') as Task;
}

/** Answers the parent, inside the child. */
export function answer(message: unknown): Promise<void> {
  return new Promise((resolve) => process.send?.(message, undefined, undefined, () => resolve()));
}
