// A receiver that dies before what was sent to it has arrived ends its connections as cleanly as one that has read
// everything. Nobody sees the difference at the socket: here a client without a sink's care is fooled by it.

import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { getContainerRuntimeClient } from 'testcontainers';
import type { SinkAnswer } from '../../src/pipeline/contract/sink.ts';
import type { StartedServer } from '../containers.ts';

const execute = promisify(execFile);
/** Connections are made and ended in packets that are smaller; none with a message is. */
const packetBytesMin = 90;
/** The sink has sent everything and its own end by then. On a machine that is slower it is told of an earlier end. */
const killAfterMs = 700;

export interface EarlyEnd {
  readonly answer: SinkAnswer;
  /** What the careless client has seen. */
  readonly seen: string;
}

/** Lets no message through to the server, calls `deliver`, and kills the server meanwhile. */
export async function earlyEnd(server: StartedServer, deliver: () => Promise<SinkAnswer>): Promise<EarlyEnd> {
  const { container: containers } = await getContainerRuntimeClient();
  const container = containers.getById(server.container.getId());
  const { State } = await container.inspect();
  const inside = ['--target', String(State.Pid), '--net'];
  // The network would go with the process, and with it what the dead process's system has to say.
  const holder = spawn('nsenter', [...inside, 'sleep', '60'], { stdio: 'ignore' });
  try {
    await once(holder, 'spawn');
    const rule = ['--append', 'INPUT', '--protocol', 'tcp', '--match', 'length', '--length', `${packetBytesMin}:65535`];
    await execute('nsenter', [...inside, 'iptables', ...rule, '--jump', 'DROP'], { timeout: 10_000 });
    const seen = carelessClient(server.port);
    const answer = deliver();
    await sleep(killAfterMs);
    await container.kill({ signal: 'SIGKILL' });
    return { answer: await answer, seen: await seen };
  } finally {
    holder.kill('SIGKILL');
  }
}

function carelessClient(port: number): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  socket.end(`100 ${'x'.repeat(100)}`);
  socket.resume();
  return new Promise((resolve) => {
    socket.on('end', () => resolve('a clean end'));
    socket.on('error', ({ message }) => resolve(message));
  });
}
