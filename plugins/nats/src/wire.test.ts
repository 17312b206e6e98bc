import { describe, expect, it } from 'vitest';
import { publishCommand, publishedBytes, type ServerWord, WireReader } from './wire.ts';

const spoken = [
  'INFO {"version":"2.15.2","headers":true,"max_payload":1024,"nonce":"n","tls_available":true,"more":[1]}\r\n',
  '+OK\r\nPING\r\nPONG\r\n',
  "-ERR 'Authorization Violation'\r\n",
  'MSG _INBOX.a.1 1 5\r\nhello\r\n',
  'MSG _INBOX.a.2 1 reply.to 2\r\n\r\n\r\n',
  'HMSG _INBOX.a.3 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\n',
  'HMSG _INBOX.a.4 1 reply.to 16 18\r\nNATS/1.0 100\r\n\r\nab\r\n',
  'HMSG _INBOX.a.5 1 21 23\r\nNATS/1.0\r\nName: v\r\n\r\n{}\r\n',
].join('');

function read(reader: WireReader, bytes: Buffer): ServerWord[] {
  return [...reader.read(bytes)].map((word) =>
    word.kind === 'message' ? { ...word, answer: { ...word.answer, payload: Buffer.from(word.answer.payload) } } : word,
  );
}

const message = (subject: string, status: number | undefined, payload: string): ServerWord => ({
  kind: 'message',
  subject,
  answer: { status, payload: Buffer.from(payload) },
});

const expected: readonly ServerWord[] = [
  {
    kind: 'info',
    info: { version: '2.15.2', maxPayload: 1024, hasHeaders: true, nonce: 'n', tls: 'available' },
  },
  { kind: 'ok' },
  { kind: 'ping' },
  { kind: 'pong' },
  { kind: 'error', text: 'Authorization Violation' },
  message('_INBOX.a.1', undefined, 'hello'),
  message('_INBOX.a.2', undefined, '\r\n'),
  message('_INBOX.a.3', 503, ''),
  message('_INBOX.a.4', 100, 'ab'),
  message('_INBOX.a.5', undefined, '{}'),
];

describe('what a server says', () => {
  it('is understood wherever the network cuts it', () => {
    const bytes = Buffer.from(spoken);
    for (let cut = 0; cut <= bytes.length; cut += 1) {
      const reader = new WireReader();
      expect([...read(reader, bytes.subarray(0, cut)), ...read(reader, bytes.subarray(cut))]).toEqual(expected);
      expect(reader.heldBytes).toBe(0);
    }
    const reader = new WireReader();
    expect([...bytes].flatMap((byte) => read(reader, Buffer.from([byte])))).toEqual(expected);
  });

  it('is understood or refused, whatever byte is damaged, and holds no more than there is', () => {
    const bytes = Buffer.from(spoken);
    for (let at = 0; at < bytes.length; at += 1) {
      const damaged = Buffer.from(bytes);
      damaged[at] = (damaged[at] as number) ^ 0x55;
      const reader = new WireReader();
      try {
        read(reader, damaged);
      } catch (error) {
        expect(error).toMatchObject({ name: 'WireError' });
      }
      expect(reader.heldBytes).toBeLessThanOrEqual(bytes.length);
    }
  });
});

it('what we say names its lengths in bytes', () => {
  const headers = [['Nats-Expected-Stream', 'größe']] as const;
  const publication = { subject: 'a.b', headers, payload: Buffer.from('12345') };
  const block = 'NATS/1.0\r\nNats-Expected-Stream: größe\r\n\r\n';
  const blockBytes = Buffer.byteLength(block);
  expect(publishCommand(publication, 'r.1')).toBe(`HPUB a.b r.1 ${blockBytes} ${blockBytes + 5}\r\n${block}`);
  expect(publishedBytes(publication)).toBe(blockBytes + 5);
  expect(publishCommand({ ...publication, headers: [] }, 'r.1')).toBe('PUB a.b r.1 5\r\n');
});
