// The server said what no server says. The text names what was found, never the bytes: they may be anything.

export class ProtocolViolation extends Error {
  override readonly name = 'ProtocolViolation';
}
