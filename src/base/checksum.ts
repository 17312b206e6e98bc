// CRC-32 (IEEE 802.3, reflected polynomial 0xEDB88320), the one checksum of the format.
//
// Two implementations of the same function: zlib's runs at several GB/s but costs a native call, so it takes whole
// frames; the one in plain JavaScript serves small cold things (headers, ledger slots), and is the portable reference
// that a property test holds equal to the other.

import { crc32 as crc32OfZlib } from 'node:zlib';
import crc32Portable from 'crc-32';

/** CRC-32 of `bytes` by zlib, as an unsigned 32-bit number. One native call: use it on frames, not on records. */
export function checksum(bytes: Uint8Array): number {
  return crc32OfZlib(bytes);
}

/** CRC-32 of `bytes` in plain JavaScript, as an unsigned 32-bit number. */
export function checksumPortable(bytes: Uint8Array): number {
  return crc32Portable.buf(bytes) >>> 0;
}
