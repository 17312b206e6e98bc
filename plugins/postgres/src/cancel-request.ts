// Asks the server to give up a statement whose answer nobody waits for any more. A request goes over a connection of
// its own, names the other one, and is answered by nothing but hanging up. It may come too late or get lost.
import { once } from 'node:events';
import { type Clock, Deadline } from 'spillway/plugin';
import { ServerSocket } from './server-socket.ts';
import type { Target } from './target.ts';

/** Names a connection to the server that has it. */
export interface BackendKey {
  readonly processId: number;
  readonly secret: number;
}

const timeoutMs = 1_000;
/** Stands where a connection that stays has the version of the protocol. */
const cancelCode = 80_877_102;

export class CancelRequests {
  readonly #target: Target;
  readonly #clock: Clock;
  readonly #underWay = new Set<Promise<void>>();

  constructor(target: Target, clock: Clock) {
    this.#target = target;
    this.#clock = clock;
  }

  /** `hangUp` ends the connection whose statement it is, afterwards: a pooler forgets it as soon as it is gone. */
  send(key: BackendKey, hangUp: () => void): void {
    const sent = this.#send(key)
      .catch(() => undefined)
      .then(hangUp);
    this.#underWay.add(sent);
    void sent.then(() => this.#underWay.delete(sent));
  }

  /** Waits for those under way, a second at most. */
  async settled(): Promise<void> {
    await Promise.all(this.#underWay);
  }

  async #send({ processId, secret }: BackendKey): Promise<void> {
    const deadline = new Deadline({ clock: this.#clock, timeoutMs, signal: new AbortController().signal });
    const tls = await deadline.within(this.#target.readTls(), 'reading certificates');
    const connecting = new ServerSocket(this.#target.endpoint, tls);
    try {
      const socket = await deadline.within(connecting.connected, 'connecting');
      const request = Buffer.alloc(16);
      const fields = [request.length, cancelCode, processId, secret];
      for (const [index, field] of fields.entries()) request.writeInt32BE(field, index * 4);
      const closed = once(socket, 'close');
      socket.resume();
      socket.write(request);
      await deadline.within(closed, 'cancelling');
    } finally {
      connecting.destroy();
    }
  }
}
