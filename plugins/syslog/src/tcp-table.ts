// What the operating system knows of a TCP connection: its state, and how many bytes the other side's system has not
// acknowledged. Linux shows it to everybody in /proc/net/tcp; Node tells neither.
//
// Reading it costs some milliseconds, on a thread of its own, whatever the number of connections: the kernel walks
// through its whole table. Connections that come or go meanwhile can hide another one, so one that is not found is
// looked for again.

import { isIPv4 } from 'node:net';
import type { HostFiles } from 'spillway/plugin';

/** The two ends of a connection, which nothing else has at the same time. */
export interface TcpEnds {
  readonly local: TcpEnd;
  readonly remote: TcpEnd;
}

export interface TcpEnd {
  readonly address: string;
  readonly port: number;
}

export interface TcpFacts {
  /**
   * `time_wait`: both sides have ended, and each has acknowledged the other's end. `close_wait`: the other side has
   * ended, this one has not.
   */
  readonly state: 'established' | 'close_wait' | 'time_wait' | 'closing' | 'other';
  /** Bytes, with the end as one, that the other side's system has not acknowledged. */
  readonly unacknowledgedBytes: number;
}

/** As the kernel numbers them. */
const stateNames: Readonly<Record<string, TcpFacts['state']>> = {
  '01': 'established',
  '06': 'time_wait',
  '08': 'close_wait',
  '0B': 'closing',
};

export class TcpTable {
  readonly #files: HostFiles;

  constructor(files: HostFiles) {
    this.#files = files;
  }

  /**
   * `unreadable`: this system has no such table, or does not show it. `failed`: it could not be read this time, as
   * when too many files are open. `gone`: the connection is not in it any more.
   */
  async look(ends: TcpEnds): Promise<TcpFacts | 'gone' | 'failed' | 'unreadable'> {
    // By the kind of the socket: one for IPv6 stays in that table where it is connected to an address of IPv4.
    const path = isIPv4(ends.local.address) ? '/proc/net/tcp' : '/proc/net/tcp6';
    for (let tries = 0; tries < 2; tries += 1) {
      const table = await this.#files.readText(path).catch(unreadable);
      if (table === undefined) return 'unreadable';
      if (typeof table !== 'string') return 'failed';
      const found = factsIn(table, ends);
      if (found !== undefined) return found;
    }
    return 'gone';
  }
}

/** Undefined where the system forbids it, which does not pass. */
function unreadable(error: unknown): { readonly error: unknown } | undefined {
  return error instanceof Error && 'kind' in error && error.kind === 'denied' ? undefined : { error };
}

/** `  0: 0100007F:CAFE 0100007F:1972 06 00000000:00000000 ...`: the two ends, the state, bytes to send and to read. */
function factsIn(table: string, { local, remote }: TcpEnds): TcpFacts | undefined {
  const ends = ` ${endpoint(local)} ${endpoint(remote)} `;
  const at = table.indexOf(ends);
  if (at < 0) return undefined;
  const rest = table.slice(at + ends.length, at + ends.length + 11);
  return { state: stateNames[rest.slice(0, 2)] ?? 'other', unacknowledgedBytes: Number.parseInt(rest.slice(3), 16) };
}

function endpoint({ address, port }: TcpEnd): string {
  return `${addressHex(address)}:${hex(port, 2)}`;
}

/** Words of 32 bits, each in the order of this machine's bytes: the first byte of an address stands last. */
function addressHex(address: string): string {
  if (isIPv4(address))
    return address
      .split('.')
      .reverse()
      .map((byte) => hex(Number(byte), 1))
      .join('');
  const groups = groupsOf(address);
  const words = [0, 2, 4, 6].map((at) => (groups[at] as string) + (groups[at + 1] as string));
  return words
    .map((word) => (word.match(/../g) ?? []).reverse().join(''))
    .join('')
    .toUpperCase();
}

/** The eight groups of an IPv6 address, four digits each. The last two may be written as an address of IPv4. */
function groupsOf(address: string): readonly string[] {
  const plain = address.replace(/%.*$/, '').replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, ...bytes) => {
    const [a, b, c, d] = bytes.slice(0, 4).map((byte) => hex(Number(byte), 1));
    return `${a}${b}:${c}${d}`;
  });
  const [before = '', after] = plain.split('::');
  const [head, tail] = [before, after ?? ''].map((part) => part.split(':').filter((group) => group !== ''));
  const missing = 8 - (head?.length ?? 0) - (tail?.length ?? 0);
  const all = [...(head ?? []), ...Array.from({ length: Math.max(0, missing) }, () => '0'), ...(tail ?? [])];
  return all.map((group) => group.padStart(4, '0'));
}

function hex(number: number, bytes: number): string {
  return number
    .toString(16)
    .toUpperCase()
    .padStart(bytes * 2, '0');
}
