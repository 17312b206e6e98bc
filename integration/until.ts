// Waiting for what a server, or somebody who starts it, gets to at its own pace.
import { setTimeout as sleep } from 'node:timers/promises';

/** The first answer that is one: neither undefined nor false. What goes wrong until then is no answer. */
export async function until<Answer>(
  what: string,
  ask: () => Answer | Promise<Answer>,
  patienceMs: number = 60_000,
): Promise<Exclude<Answer, undefined | false>> {
  const deadlineMs = performance.now() + patienceMs;
  for (let cause: unknown; ; await sleep(50)) {
    try {
      const answer = await ask();
      if (answer !== undefined && answer !== false) return answer as Exclude<Answer, undefined | false>;
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    if (performance.now() > deadlineMs) throw new Error(`not so after ${patienceMs} ms: ${what}`, { cause });
  }
}
