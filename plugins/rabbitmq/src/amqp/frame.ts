// Frames: what comes from the network, cut anywhere, becomes frames again.
//
//   type u8 | channel u16 | size u32 | payload | 0xCE
//
// A frame may be no larger than both sides have agreed on, so a wrong size costs no memory.
import { OtherProtocol } from './ending.ts';
import { frameEnd, Malformed } from './wire.ts';

export const frameType = { method: 1, header: 2, body: 3, heartbeat: 8 } as const;

/** Bytes around the payload. */
export const frameOverheadBytes = 8;
const headBytes = 7;

export const heartbeatFrame: Buffer = Buffer.from([frameType.heartbeat, 0, 0, 0, 0, 0, 0, frameEnd]);
export const protocolHeader: Buffer = Buffer.from('AMQP\0\0\x09\x01', 'latin1');

export interface Frame {
  readonly type: number;
  readonly channel: number;
  readonly payload: Buffer;
}

export class FrameReader {
  /** Of whole frames, with what is around the payload. */
  frameBytesMax: number;
  #rest: Buffer = Buffer.alloc(0);
  #hasRead = false;

  constructor(frameBytesMax: number) {
    this.frameBytesMax = frameBytesMax;
  }

  /** Frames that are complete with this chunk. Throws Malformed or OtherProtocol; then nothing more can be read. */
  *read(chunk: Buffer): Generator<Frame, void, undefined> {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    for (;;) {
      const frame = this.#next();
      if (frame === undefined) return;
      yield frame;
    }
  }

  #next(): Frame | undefined {
    const bytes = this.#rest;
    if (bytes.length < headBytes) return undefined;
    if (bytes.toString('latin1', 0, 4) === 'AMQP') {
      throw new OtherProtocol(`the server speaks no AMQP 0-9-1, it offers ${bytes.subarray(4, 8).join('-')}`);
    }
    const type = bytes[0] as number;
    const end = headBytes + bytes.readUInt32BE(3);
    if (!Object.values<number>(frameType).includes(type)) throw this.#unknown(type);
    if (end + 1 > this.frameBytesMax) throw new Malformed(`a frame of ${end + 1} bytes is too large`);
    if (bytes.length <= end) return undefined;
    if (bytes[end] !== frameEnd) throw new Malformed('a frame does not end where it says');
    this.#rest = bytes.subarray(end + 1);
    this.#hasRead = true;
    return { type, channel: bytes.readUInt16BE(1), payload: bytes.subarray(headBytes, end) };
  }
  #unknown(type: number): Error {
    if (this.#hasRead) return new Malformed(`there is no frame of type ${type}`);
    return new OtherProtocol(
      'what answers speaks no AMQP: is this the port for TLS, which amqps:// is for, or another?',
    );
  }
}
