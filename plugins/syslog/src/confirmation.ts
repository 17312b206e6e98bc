// What shows that a receiver has what it was sent, in a protocol without answers.
//
// `close`: the receiver closes after it was told that nothing more comes. A process that closes, or dies, with bytes
// unread makes its system reset the connection; so a clean end says that the process has read all that its system had.
// It does not say that its system had everything: the end of a process that died before our bytes arrived is as clean.
// The proof is both: the receiver's end is here, and its system has acknowledged our last byte without a reset. The
// system tells (tcp-table.ts): `time_wait` where we ended first, `close_wait` with nothing unacknowledged where TLS
// ended and TCP did not yet. Any other end is none.
//
// What a process has read and not stored when it is killed is confirmed and lost: its system ends the connection the
// same way. No byte of the protocol could tell.
//
// `receipt`: the receiver's system has acknowledged every byte, on a connection that is kept. What its process has not
// read when it dies is lost.
//
// Where the system does not tell, the clean end alone has to do for `close`, and having sent for `receipt`.

import type { Clock, Deadline, Timer } from 'spillway/plugin';
import { ConnectionEnded } from './connection.ts';
import type { TcpEnds, TcpFacts, TcpTable } from './tcp-table.ts';

export type Confirm = 'close' | 'receipt';

/** `unseen`: the system does not tell. */
export type Confirmation = 'confirmed' | 'unseen';

type Verdict = 'confirmed' | 'wait' | 'lost';

/** First pauses between two looks, then the longest. */
const pausesMs: readonly number[] = [1, 2, 5, 10, 20];
const pauseMsMax = 50;

export class Confirmer {
  readonly #table: TcpTable;
  readonly #clock: Clock;

  constructor(table: TcpTable, clock: Clock) {
    this.#table = table;
    this.#clock = clock;
  }

  /** For a connection that the receiver has closed in turn. Rejects with ConnectionEnded or Overdue. */
  async ofEnd(ends: TcpEnds, deadline: Deadline): Promise<Confirmation> {
    return await this.#look(ends, deadline, verdictOnEnd);
  }

  /** For a connection that is kept. */
  async ofReceipt(ends: TcpEnds, deadline: Deadline): Promise<Confirmation> {
    return await this.#look(ends, deadline, verdictOnReceipt);
  }

  async #look(ends: TcpEnds, deadline: Deadline, verdictOn: (facts: TcpFacts) => Verdict): Promise<Confirmation> {
    const doing = "waiting for the receiver's system to acknowledge everything";
    for (let looks = 0; ; looks += 1) {
      const facts = await deadline.within(this.#table.look(ends), doing);
      if (facts === 'unreadable') return 'unseen';
      const verdict = facts === 'gone' ? 'lost' : facts === 'failed' ? 'wait' : verdictOn(facts);
      if (verdict === 'confirmed') return 'confirmed';
      if (verdict === 'lost') throw new ConnectionEnded('the connection ended before everything had arrived');
      await this.#pause(pausesMs[looks] ?? pauseMsMax, deadline, doing);
    }
  }

  async #pause(ms: number, deadline: Deadline, doing: string): Promise<void> {
    const timers: Timer[] = [];
    const over = new Promise<void>((resolve) => {
      timers.push(this.#clock.setTimer(ms, resolve));
    });
    try {
      await deadline.within(over, doing);
    } finally {
      for (const timer of timers) timer.cancel();
    }
  }
}

function verdictOnEnd({ state, unacknowledgedBytes }: TcpFacts): Verdict {
  if (state === 'time_wait') return 'confirmed';
  return state === 'close_wait' && unacknowledgedBytes === 0 ? 'confirmed' : 'wait';
}

function verdictOnReceipt({ state, unacknowledgedBytes }: TcpFacts): Verdict {
  if (state !== 'established') return 'lost';
  return unacknowledgedBytes === 0 ? 'confirmed' : 'wait';
}
