// From a socket to a channel that confirms what it is sent: connect, log in, agree on sizes, open.
import { connect as connectPlain, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Clock, Deadline, TlsSettings } from 'spillway/plugin';
import { AmqpConnection, type ConnectionEvents } from './connection.ts';
import { CannotConnect, ConnectionLost } from './ending.ts';
import { protocolHeader } from './frame.ts';
import { channelNumber, method, methodFrame } from './method.ts';
import { Malformed, type Table } from './wire.ts';

export interface AmqpServer {
  readonly host: string;
  readonly port: number;
  readonly virtualHost: string;
  /** EXTERNAL: the server takes the name from the certificate of the client. */
  readonly login: { readonly mechanism: 'PLAIN'; readonly user: string; readonly password: string } | 'EXTERNAL';
  /** Undefined: without TLS. */
  readonly tls: TlsSettings | undefined;
  readonly heartbeatMs: number;
}

export interface OpenOptions {
  readonly clock: Clock;
  readonly deadline: Deadline;
  readonly events: ConnectionEvents;
  /** What is done before the connection counts as open. */
  readonly prepare: (connection: AmqpConnection) => Promise<void>;
}

/** What we want at most; RabbitMQ suggests the same. */
const frameBytesMax = 128 * 1024;
const frameBytesMin = 4096;
/** Of what a server lists, for a reason that somebody reads. */
const shownMax = 100;

const clientProperties: Table = {
  product: 'Spillway',
  capabilities: {
    publisher_confirms: true,
    'basic.nack': true,
    'connection.blocked': true,
    // A refused login is said with a reason, instead of a connection that is lost.
    authentication_failure_close: true,
  },
};

/** Rejects with what failure.ts knows. Nothing is left behind then. */
export async function openConnection(server: AmqpServer, options: OpenOptions): Promise<AmqpConnection> {
  const { clock, deadline, events, prepare } = options;
  const socket = connectSocket(server);
  const connection = new AmqpConnection(socket, { clock, events, redact: redactor(server) });
  try {
    await deadline.within(logIn(connection, server, socket), 'connecting');
    await deadline.within(prepare(connection), 'looking for exchange and queue');
    return connection;
  } catch (error) {
    connection.end(new ConnectionLost('connecting was given up'));
    throw error;
  }
}

function connectSocket({ host, port, tls }: AmqpServer): Socket {
  if (tls === undefined) return connectPlain({ host, port, noDelay: true });
  // TLS knows no addresses as names to ask for.
  const name = isIP(host) === 0 ? { servername: host } : {};
  return connectTls({ host, port, ...name, ...tls }).setNoDelay(true);
}

async function logIn(connection: AmqpConnection, server: AmqpServer, socket: Socket): Promise<void> {
  // Bytes that are written earlier wait in the socket until it is connected.
  socket.write(protocolHeader);
  const start = await connection.expect(method.connectionStart);
  const mechanisms = start.skip(2).skip(start.uint32()).longText().split(' ');
  const { login } = server;
  const mechanism = login === 'EXTERNAL' ? login : login.mechanism;
  if (!mechanisms.includes(mechanism)) {
    const offered = mechanisms.join(', ').slice(0, shownMax);
    throw new CannotConnect(`the server takes no login by ${mechanism}, only by ${offered}`);
  }
  const response = login === 'EXTERNAL' ? '' : `\0${login.user}\0${login.password}`;
  connection.send([
    methodFrame(0, method.connectionStartOk, (writer) =>
      writer.table(clientProperties).shortText(mechanism).longText(response).shortText('en_US'),
    ),
  ]);
  await tune(connection, server);
  const open = methodFrame(0, method.connectionOpen, (writer) =>
    writer.shortText(server.virtualHost).shortText('').uint8(0),
  );
  await connection.call(open, method.connectionOpenOk);
  const channelOpen = methodFrame(channelNumber, method.channelOpen, (writer) => writer.shortText(''));
  await connection.call(channelOpen, method.channelOpenOk);
  const confirmSelect = methodFrame(channelNumber, method.confirmSelect, (writer) => writer.uint8(0));
  await connection.call(confirmSelect, method.confirmSelectOk);
}

/** Sizes and times: the smaller one of both sides, where 0 means that a side does not mind. */
async function tune(connection: AmqpConnection, server: AmqpServer): Promise<void> {
  const fields = await connection.expect(method.connectionTune);
  fields.skip(2); // It has at least the one channel that we need.
  const frameBytes = smaller(fields.uint32(), frameBytesMax);
  if (frameBytes < frameBytesMin) throw new Malformed(`the server wants frames of ${frameBytes} bytes at most`);
  const heartbeatSecs = smaller(fields.uint16(), Math.ceil(server.heartbeatMs / 1000));
  connection.send([
    methodFrame(0, method.connectionTuneOk, (writer) =>
      writer.uint16(channelNumber).uint32(frameBytes).uint16(heartbeatSecs),
    ),
  ]);
  connection.agree(frameBytes, heartbeatSecs * 1000);
}

function smaller(theirs: number, ours: number): number {
  return theirs === 0 || ours === 0 ? Math.max(theirs, ours) : Math.min(theirs, ours);
}

/** A server may repeat what it was sent. A password that is the user's name, such as guest's, hides nothing. */
function redactor({ login }: AmqpServer): (text: string) => string {
  if (login === 'EXTERNAL' || login.password === '' || login.password === login.user) return (text) => text;
  return (text) => text.replaceAll(login.password, '***');
}
