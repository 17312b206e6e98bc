// Every byte that is sent, read by a codec that others have written.
import fc from 'fast-check';
import { type Packet, parser } from 'mqtt-packet';
import { describe, expect, it } from 'vitest';
import {
  byteProperty,
  type Connect,
  encodeConnect,
  encodeDisconnect,
  encodePing,
  encodeProperties,
  encodePublish,
  fieldBytesMax,
  property,
  publishBytes,
  textProperty,
  uint32Property,
} from './packet.ts';

/** What the other codec makes of it; it has to be all of it. */
function read(bytes: Buffer, protocolVersion: 4 | 5): Packet {
  const packets: Packet[] = [];
  const reader = parser({ protocolVersion });
  reader.on('packet', (packet) => packets.push(packet));
  reader.on('error', (error) => {
    throw error;
  });
  expect(reader.parse(bytes)).toBe(0);
  expect(packets).toHaveLength(1);
  return packets[0] as Packet;
}

const connect: Connect = {
  version: '5',
  clientId: 'archive',
  isClean: true,
  keepAliveSecs: 60,
  user: undefined,
  password: undefined,
  sessionExpirySecs: 0,
  answerBytesMax: 65_536,
};

describe('CONNECT', () => {
  it('says who comes, and for how long', () => {
    const all = { ...connect, isClean: false, user: 'ada', password: 'grün', sessionExpirySecs: 3600 };
    expect(read(encodeConnect(all), 5)).toMatchObject({
      cmd: 'connect',
      protocolVersion: 5,
      clientId: 'archive',
      clean: false,
      keepalive: 60,
      username: 'ada',
      password: Buffer.from('grün'),
      properties: { sessionExpiryInterval: 3600, maximumPacketSize: 65_536 },
    });
  });

  it('of 3.1.1 has no properties', () => {
    const found = read(encodeConnect({ ...connect, version: '3.1.1', user: 'ada', sessionExpirySecs: 3600 }), 4);
    expect(found).toMatchObject({ cmd: 'connect', protocolVersion: 4, clientId: 'archive', clean: true });
    expect(found).toMatchObject({ username: 'ada' });
    expect(found).not.toHaveProperty('password');
    expect(found).not.toHaveProperty('properties');
  });

  it('does not take a text that fits no field', () => {
    expect(() => encodeConnect({ ...connect, clientId: 'x'.repeat(fieldBytesMax + 1) })).toThrow(RangeError);
  });
});

describe('PUBLISH', () => {
  it('is read as it was meant, and is as long as it was said to be', () => {
    const character = fc.constantFrom('a', '/', ' ', 'ß', '漢', '🜁');
    const given = fc.record({
      topic: fc.string({ minLength: 1, unit: character }),
      payload: fc.oneof(
        fc.uint8Array({ maxLength: 300 }),
        fc.constantFrom(127, 128, 16_383, 16_384, 2_097_152).map((length) => new Uint8Array(length)),
      ),
      packetId: fc.integer({ min: 1, max: 65_535 }),
      isRepeat: fc.boolean(),
      isRetained: fc.boolean(),
      key: fc.string({ unit: character }),
      expirySecs: fc.integer({ min: 0, max: 0xffff_ffff }),
      version: fc.constantFrom(4 as const, 5 as const),
    });
    fc.assert(
      fc.property(given, ({ topic, payload, packetId, isRepeat, isRetained, key, expirySecs, version }) => {
        const properties = encodeProperties([
          byteProperty(property.payloadFormat, 1),
          uint32Property(property.messageExpiry, expirySecs),
          textProperty(property.contentType, 'application/json'),
          textProperty(property.user, 'key', key),
        ]);
        const message = {
          topic: Buffer.from(topic),
          properties: version === 5 ? properties : Buffer.alloc(0),
          payload: Buffer.from(payload),
        };
        const bytes = encodePublish(message, { packetId, isRepeat, isRetained });
        expect(bytes).toHaveLength(publishBytes(message));
        const found = read(bytes, version);
        expect(found).toMatchObject({ topic, messageId: packetId, qos: 1, dup: isRepeat, retain: isRetained });
        expect(Buffer.compare((found as { payload: Buffer }).payload, message.payload)).toBe(0);
        if (version === 4) return;
        expect(found).toMatchObject({
          properties: {
            payloadFormatIndicator: true,
            messageExpiryInterval: expirySecs,
            contentType: 'application/json',
            userProperties: { key },
          },
        });
      }),
      { numRuns: 60 },
    );
  });
});

describe('the others', () => {
  it('ask for a sign of life', () => {
    expect(read(encodePing(), 5)).toMatchObject({ cmd: 'pingreq' });
  });

  it('end a connection, and the session with it where MQTT can say so', () => {
    expect(read(encodeDisconnect('3.1.1', true), 4)).toMatchObject({ cmd: 'disconnect' });
    expect(read(encodeDisconnect('5', false), 5)).toMatchObject({ cmd: 'disconnect', reasonCode: 0 });
    expect(read(encodeDisconnect('5', true), 5)).toMatchObject({
      cmd: 'disconnect',
      reasonCode: 0,
      properties: { sessionExpiryInterval: 0 },
    });
  });
});
