// A socket to the server, encrypted if wanted, before anybody speaks about who we are.
//
// PostgreSQL begins without TLS: eight bytes ask for it, one byte says yes or no, and after a yes the handshake begins
// on the same socket. Anything that came together with the yes was not encrypted, and somebody on the way may have put
// it there: such a connection is given up.
import { once } from 'node:events';
import { connect as connectSocket, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { TlsSettings } from 'spillway/plugin';
import type { Endpoint } from './endpoint.ts';
import { ConnectionLost, NeedsSomebody } from './failure.ts';

const tlsRequest = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);

/** After so long without a word the system asks whether the other side is still there. */
const keepAliveMs = 30_000;

/** A socket on its way. `destroy` ends it whatever it is doing, and `connected` then rejects. */
export class ServerSocket {
  readonly connected: Promise<Socket>;
  #socket: Socket;

  constructor({ host, port }: Endpoint, tls: TlsSettings | undefined) {
    this.#socket = host.startsWith('/')
      ? connectSocket({ path: `${host}/.s.PGSQL.${port}` })
      : connectSocket({ host, port, keepAlive: true, keepAliveInitialDelay: keepAliveMs, noDelay: true });
    this.connected = this.#connect(host, tls);
    // Whoever has given up waiting for it needs no second word, and an error between two steps no listener of its own.
    this.connected.catch(() => undefined);
    this.#socket.on('error', () => undefined);
  }

  destroy(): void {
    this.#socket.destroy();
  }

  async #connect(host: string, tls: TlsSettings | undefined): Promise<Socket> {
    const plain = this.#socket;
    try {
      await happened(plain, 'connect');
      if (tls === undefined) return plain;
      plain.write(tlsRequest);
      const [answer] = (await happened(plain, 'data')) as [Buffer];
      // A socket that flows with nobody listening loses what comes next.
      plain.pause();
      if (answer[0] === 0x4e) throw new NeedsSomebody('the server does not offer TLS');
      if (answer.length !== 1 || answer[0] !== 0x53) throw new ConnectionLost('no answer to the wish for TLS');
      const servername = isIP(host) === 0 && !host.startsWith('/') ? { servername: host } : {};
      const secured = connectTls({ host, ...servername, ...tls, socket: plain });
      secured.on('error', () => undefined);
      this.#socket = secured;
      await happened(secured, 'secureConnect');
      return secured;
    } catch (error) {
      this.#socket.destroy();
      plain.destroy();
      throw error;
    }
  }
}

/** The arguments of the next event of this name; rejects when the socket fails or closes before. */
async function happened(socket: Socket, event: string): Promise<unknown[]> {
  const stop = new AbortController();
  const { signal } = stop;
  try {
    const closed = once(socket, 'close', { signal }).then(() => {
      throw new ConnectionLost('the connection was closed while connecting');
    });
    const found = once(socket, event, { signal });
    closed.catch(() => undefined);
    found.catch(() => undefined);
    return (await Promise.race([found, closed])) as unknown[];
  } finally {
    stop.abort();
  }
}
