// A port of the loopback that nobody else here gets, for servers that have to keep theirs over a restart.
//
// Test files run side by side, and a server that was killed has let go of its port. So a port is not asked of the
// kernel, which gives such ones to clients as well, but looked for below those; and on Linux it is claimed by the name
// of a socket that has no place on the disk, which goes away with this process, however it ends.
import { once } from 'node:events';
import { createServer, type ListenOptions, type Server } from 'node:net';

/** Linux gives clients ports from 32768, and privileged ones end at 1023. Well-known services are below 10000. */
const lowest = 12_000;
const count = 20_000;

async function listening(options: ListenOptions): Promise<Server | undefined> {
  const server = createServer().listen(options);
  try {
    await once(server, 'listening');
    return server;
  } catch {
    return undefined; // Somebody has it.
  }
}

/** False if another process has claimed it. Stays claimed until this process ends. */
async function claim(port: number): Promise<boolean> {
  if (process.platform !== 'linux') return true;
  const server = await listening({ path: `\0spillway-test-port-${port}` });
  server?.unref();
  return server !== undefined;
}

export async function freePort(): Promise<number> {
  for (;;) {
    const port = lowest + Math.floor(Math.random() * count);
    if (!(await claim(port))) continue;
    const server = await listening({ port, host: '127.0.0.1' });
    if (server === undefined) continue;
    server.close();
    await once(server, 'close');
    return port;
  }
}
