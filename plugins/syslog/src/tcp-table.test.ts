import type { HostFiles } from 'spillway/plugin';
import { expect, it } from 'vitest';
import { type TcpEnds, TcpTable } from './tcp-table.ts';

const head = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n';
const line = (ends: string, state: string, queue: string): string =>
  `   0: ${ends} ${state} ${queue} 00:00000000 00000000     0        0 0 3 0000000000000000\n`;

const four: TcpEnds = { local: { address: '127.0.0.1', port: 40_002 }, remote: { address: '10.1.2.3', port: 601 } };
const fourEnds = '0100007F:9C42 0302010A:0259';

function table(files: Readonly<Record<string, readonly string[]>>): { readonly table: TcpTable; reads: number } {
  const state = { reads: 0 };
  const readText = async (path: string): Promise<string | undefined> => {
    const texts = files[path];
    const text = texts?.[Math.min(state.reads, texts.length - 1)];
    state.reads += 1;
    return text;
  };
  return Object.assign(state, { table: new TcpTable({ readText } as HostFiles) });
}

it('finds a connection by both its ends', async () => {
  const others = line('0100007F:9C42 0302010B:0259', '06', '00000000:00000000');
  const reversed = line('0302010A:0259 0100007F:9C42', '08', '00000000:00000000');
  const text = head + others + reversed + line(fourEnds, '01', '0000001F:00000000');
  expect(await table({ '/proc/net/tcp': [text] }).table.look(four)).toEqual({
    state: 'established',
    unacknowledgedBytes: 31,
  });
});

it.each([
  ['01', 'established'],
  ['06', 'time_wait'],
  ['08', 'close_wait'],
  ['0B', 'closing'],
  ['09', 'other'],
])('knows state %s as %s', async (code, state) => {
  const text = head + line(fourEnds, code, '00000000:00000000');
  expect(await table({ '/proc/net/tcp': [text] }).table.look(four)).toEqual({ state, unacknowledgedBytes: 0 });
});

it.each([
  ['::1', '00000000000000000000000001000000'],
  ['2001:db8::ff00:42:8329', 'B80D0120000000000000FF0029834200'.replace('0000FF00', '00FF0000')],
  ['fe80::1%eth0', '000080FE000000000000000001000000'],
  ['::ffff:10.1.2.3', '0000000000000000FFFF00000302010A'],
])('looks for %s in the table for IPv6', async (address, hex) => {
  const ends = { local: { address, port: 40_002 }, remote: { address: '::1', port: 601 } };
  const text = head + line(`${hex}:9C42 00000000000000000000000001000000:0259`, '06', '00000000:00000000');
  expect(await table({ '/proc/net/tcp6': [text] }).table.look(ends)).toMatchObject({ state: 'time_wait' });
});

it('looks twice before it says that a connection is gone', async () => {
  const there = head + line(fourEnds, '06', '00000000:00000000');
  const late = table({ '/proc/net/tcp': [head, there] });
  expect(await late.table.look(four)).toMatchObject({ state: 'time_wait' });
  const gone = table({ '/proc/net/tcp': [head] });
  expect(await gone.table.look(four)).toBe('gone');
  expect(gone.reads).toBe(2);
});

it('says when there is no table', async () => {
  expect(await table({}).table.look(four)).toBe('unreadable');
});

it.each([
  ['denied', 'unreadable'],
  ['limit', 'failed'],
  ['io', 'failed'],
])('tells a table that is never shown from one that cannot be read this time: %s', async (kind, look) => {
  const readText = () => Promise.reject(Object.assign(new Error('Could not open /proc/net/tcp'), { kind }));
  expect(await new TcpTable({ readText } as unknown as HostFiles).look(four)).toBe(look);
});
