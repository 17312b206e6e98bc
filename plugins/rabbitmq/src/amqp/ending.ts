// Why a connection is over, or was never there. What it means for a batch is told by failure.ts.

/** The connection was lost, or given up. */
export class ConnectionLost extends Error {
  override readonly name = 'ConnectionLost';
}

/** The server closed the channel or the connection, and said why. */
export class ServerRefusal extends Error {
  override readonly name = 'ServerRefusal';
  readonly code: number;

  constructor(code: number, text: string) {
    super(text);
    this.code = code;
  }
}

/** Somebody has to act, and no server is needed to know it: a file that is missing, a mechanism nobody offers. */
export class CannotConnect extends Error {
  override readonly name = 'CannotConnect';
}

/** Whoever answers speaks another version of AMQP, which it names before it hangs up, or something else. */
export class OtherProtocol extends Error {
  override readonly name = 'OtherProtocol';
}
