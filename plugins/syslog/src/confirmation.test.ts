import { Deadline, Overdue } from 'spillway/plugin';
import { simulatedWorld } from 'spillway/testing';
import { describe, expect, it } from 'vitest';
import { Confirmer } from './confirmation.ts';
import { ConnectionEnded } from './connection.ts';
import type { TcpEnds, TcpFacts, TcpTable } from './tcp-table.ts';

const ends: TcpEnds = { local: { address: '127.0.0.1', port: 1 }, remote: { address: '127.0.0.1', port: 2 } };

type Look = TcpFacts | 'gone' | 'failed' | 'unreadable';
const facts = (state: TcpFacts['state'], unacknowledgedBytes = 0): TcpFacts => ({ state, unacknowledgedBytes });

/** The table says one thing after the other, and the last one from then on. */
async function confirm(what: 'ofEnd' | 'ofReceipt', looks: readonly Look[]): Promise<string> {
  const { sim, clock } = simulatedWorld();
  let at = 0;
  const table = { look: async () => looks[Math.min(at++, looks.length - 1)] } as unknown as TcpTable;
  const { signal } = new AbortController();
  const deadline = new Deadline({ clock, timeoutMs: 1_000, signal });
  return await sim.run(new Confirmer(table, clock)[what](ends, deadline));
}

describe('an end', () => {
  it.each<[string, readonly Look[]]>([
    ['both have ended and acknowledged', [facts('time_wait')]],
    ['it has ended and has everything', [facts('close_wait')]],
    ['the acknowledgement comes a little later', [facts('closing', 14), facts('closing', 14), facts('time_wait')]],
    ['the system can tell a little later', ['failed', facts('time_wait')]],
    ['TLS has ended, TCP not yet', [facts('established'), facts('close_wait', 31), facts('close_wait')]],
  ])('is confirmed when %s', async (_, looks) => {
    expect(await confirm('ofEnd', looks)).toBe('confirmed');
  });

  it('of a process that died before our bytes arrived is none', async () => {
    await expect(confirm('ofEnd', [facts('closing', 14), 'gone'])).rejects.toThrow(ConnectionEnded);
    await expect(confirm('ofEnd', [facts('close_wait', 14), 'gone'])).rejects.toThrow(ConnectionEnded);
    await expect(confirm('ofEnd', ['gone'])).rejects.toThrow(ConnectionEnded);
  });

  it('of a system that says nothing more is waited for until the deadline', async () => {
    await expect(confirm('ofEnd', [facts('closing', 14)])).rejects.toThrow(Overdue);
  });

  it('is all there is where no system tells more', async () => {
    expect(await confirm('ofEnd', ['unreadable'])).toBe('unseen');
  });
});

describe('a receipt', () => {
  it('is given when nothing is unacknowledged', async () => {
    expect(await confirm('ofReceipt', [facts('established', 900), facts('established')])).toBe('confirmed');
    expect(await confirm('ofReceipt', ['unreadable'])).toBe('unseen');
    expect(await confirm('ofReceipt', ['failed', facts('established')])).toBe('confirmed');
  });

  it.each([facts('close_wait'), facts('time_wait'), facts('other'), 'gone' as const])(
    'is not given on a connection that has ended: %j',
    async (look) => {
      await expect(confirm('ofReceipt', [facts('established', 1), look])).rejects.toThrow(ConnectionEnded);
    },
  );

  it('is waited for until the deadline', async () => {
    await expect(confirm('ofReceipt', [facts('established', 1)])).rejects.toThrow(Overdue);
  });
});
