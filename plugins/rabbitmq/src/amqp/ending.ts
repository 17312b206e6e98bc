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

/** The server speaks AMQP, but no 0-9-1: it answers with the version that it would speak, and hangs up. */
export class OtherVersion extends Error {
  override readonly name = 'OtherVersion';
}
