// A way to a receiver over TLS on which what comes after the handshake, which is a refusal, takes a while: bytes that
// are acknowledged by then say nothing about it.

import { once } from 'node:events';
import { connect, createServer, type Server } from 'node:net';

const slowMs = 60;

export async function startSlowRelay(to: number): Promise<Server> {
  const relay = createServer((near) => {
    const far = connect(to, '127.0.0.1');
    let flights = 0;
    near.on('data', (bytes) => {
      flights += 1;
      far.write(bytes);
    });
    far.on('data', (bytes) => setTimeout(() => near.write(bytes), flights > 1 ? slowMs : 0));
    far.on('close', () => setTimeout(() => near.destroy(), slowMs));
    near.on('close', () => far.destroy());
    for (const socket of [near, far]) socket.on('error', () => undefined);
  });
  relay.listen(0, '127.0.0.1');
  await once(relay, 'listening');
  return relay;
}
