// The properties of an MQTT 5 packet from a server: those that a publisher acts on, and a way past all others.
import { ProtocolViolation } from './violation.ts';

export interface ServerProperties {
  /** The most publishes that it takes before it has acknowledged one. */
  readonly receiveMaximum?: number;
  readonly packetBytesMax?: number;
  readonly maximumQos?: number;
  readonly isRetainAvailable?: boolean;
  /** Takes the place of what the client asked for. */
  readonly keepAliveSecs?: number;
  readonly reason?: string;
  /** Another server to go to. */
  readonly serverReference?: string;
}

type Form = 'byte' | 'uint16' | 'uint32' | 'varint' | 'text' | 'binary' | 'pair';
type Value = number | string | undefined;
type Name = keyof ServerProperties;

/** Table 2-4 of the standard, for what a server can send to a publisher. */
const forms: Readonly<Record<number, Form>> = {
  1: 'byte', // Payload Format Indicator
  2: 'uint32', // Message Expiry Interval
  3: 'text', // Content Type
  8: 'text', // Response Topic
  9: 'binary', // Correlation Data
  11: 'varint', // Subscription Identifier
  17: 'uint32', // Session Expiry Interval
  18: 'text', // Assigned Client Identifier
  19: 'uint16', // Server Keep Alive
  21: 'text', // Authentication Method
  22: 'binary', // Authentication Data
  26: 'text', // Response Information
  28: 'text', // Server Reference
  31: 'text', // Reason String
  33: 'uint16', // Receive Maximum
  34: 'uint16', // Topic Alias Maximum
  36: 'byte', // Maximum QoS
  37: 'byte', // Retain Available
  38: 'pair', // User Property
  39: 'uint32', // Maximum Packet Size
  40: 'byte', // Wildcard Subscription Available
  41: 'byte', // Subscription Identifiers Available
  42: 'byte', // Shared Subscription Available
};

const names: Readonly<Record<number, Name>> = {
  19: 'keepAliveSecs',
  28: 'serverReference',
  31: 'reason',
  33: 'receiveMaximum',
  36: 'maximumQos',
  37: 'isRetainAvailable',
  39: 'packetBytesMax',
};

/** With nought a server would take nothing at all. */
const neverNought: readonly Name[] = ['receiveMaximum', 'packetBytesMax'];

export class PropertyReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** All of them, with their length in front and nothing behind. Throws ProtocolViolation. */
  read(): ServerProperties {
    const length = this.#varint();
    if (length !== this.#bytes.length - this.#at) throw new ProtocolViolation('properties of another length');
    const found: Partial<Record<Name, number | string | boolean>> = {};
    while (this.#at < this.#bytes.length) {
      const id = this.#uint(1);
      const form = forms[id];
      if (form === undefined) throw new ProtocolViolation(`property ${id}, which there is none`);
      const value = this.#value(form);
      const name = names[id];
      if (name === undefined || value === undefined) continue;
      if (value === 0 && neverNought.includes(name)) throw new ProtocolViolation(`nought for property ${id}`);
      found[name] = name === 'isRetainAvailable' ? value !== 0 : value;
    }
    return found as ServerProperties;
  }

  #value(form: Form): Value {
    switch (form) {
      case 'byte':
        return this.#uint(1);
      case 'uint16':
        return this.#uint(2);
      case 'uint32':
        return this.#uint(4);
      case 'varint':
        return this.#varint();
      case 'text':
        return this.#take(this.#uint(2)).toString('utf8');
      case 'binary':
        this.#take(this.#uint(2));
        return undefined;
      case 'pair':
        this.#take(this.#uint(2));
        this.#take(this.#uint(2));
        return undefined;
    }
  }

  #uint(bytes: 1 | 2 | 4): number {
    return this.#take(bytes).readUIntBE(0, bytes);
  }

  #varint(): number {
    let value = 0;
    for (let digits = 0; digits < 4; digits += 1) {
      const digit = this.#uint(1);
      value += (digit & 0x7f) * 128 ** digits;
      if (digit < 0x80) return value;
    }
    throw new ProtocolViolation('a number of more than four bytes');
  }

  #take(count: number): Buffer {
    const end = this.#at + count;
    if (end > this.#bytes.length) throw new ProtocolViolation('a property that is cut off');
    const bytes = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return bytes;
  }
}
