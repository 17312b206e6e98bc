// A socket to the server, with TLS where it is asked for. Name lookup, connecting and the handshake share one deadline;
// a socket that is there only after it was given up does not stay behind.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { type Deadline, type HostFiles, readTls, type TlsOptions, type TlsSettings } from 'spillway/plugin';
import { ConnectionFailed, socketFailure } from './failure.ts';

export interface Server {
  readonly host: string;
  readonly port: number;
  readonly tls: TlsOptions | undefined;
  /** How it is called in answers and logs. */
  readonly peer: string;
}

/** Rejects with ConnectionFailed or Overdue. */
export async function openSocket(server: Server, files: HostFiles, deadline: Deadline): Promise<Socket> {
  const stop = new AbortController();
  const opening = open(server, files, stop.signal);
  try {
    return await deadline.within(opening, 'connecting');
  } catch (error) {
    stop.abort();
    // It may have been opened between the end of the time and now.
    opening.then(
      (socket) => socket.destroy(),
      () => undefined,
    );
    throw error;
  }
}

async function open(server: Server, files: HostFiles, signal: AbortSignal): Promise<Socket> {
  const { tls, peer } = server;
  const settings = tls === undefined ? undefined : await tlsSettings(tls, files);
  const socket = begin(server, settings);
  socket.setNoDelay(true);
  // Until somebody else listens, and after nobody does: an error without a listener would end the process.
  socket.on('error', () => undefined);
  try {
    // Rejects with the socket's error as well.
    await once(socket, settings === undefined ? 'connect' : 'secureConnect', { signal });
    return socket;
  } catch (error) {
    socket.destroy();
    throw new ConnectionFailed(socketFailure(error, peer));
  }
}

/** A certificate or key that cannot be used is told here and now, before anything is sent. */
function begin({ host, port, peer }: Server, settings: TlsSettings | undefined): Socket {
  if (settings === undefined) return connect({ host, port });
  try {
    return connectTls({ ...settings, host, port });
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    throw new ConnectionFailed({ kind: 'blocked', reason: `${peer}: the certificate or key cannot be used: ${text}` });
  }
}

async function tlsSettings(tls: TlsOptions, files: HostFiles): Promise<TlsSettings> {
  try {
    return await readTls(tls, files);
  } catch (error) {
    throw new ConnectionFailed({ kind: 'blocked', reason: error instanceof Error ? error.message : String(error) });
  }
}
