// Several servers in one container, so that one can be killed while the others go on. Their ports are the same on this
// machine, for servers of a cluster tell clients each other's.
import { readFileSync } from 'node:fs';
import { type ServerOptions, type StartedServer, startServer } from '../containers.ts';
import { freePort } from '../free-port.ts';
import { type ImageName, localImage } from '../local-images.ts';

export interface NodesOptions extends Pick<ServerOptions, 'ready'> {
  readonly image: ImageName;
  readonly count: number;
  /** In this folder. It starts the servers, whose ports are its arguments. */
  readonly script: string;
  /** Lines before it. */
  readonly settings?: string;
}

export interface ServerNodes {
  readonly server: StartedServer;
  readonly ports: readonly number[];
}

export async function startNodes({
  image: name,
  count,
  script,
  settings = '',
  ready,
}: NodesOptions): Promise<ServerNodes> {
  const image = localImage(name);
  if (image === undefined) throw new Error('no image: see requirements.ts');
  const ports: number[] = [];
  while (ports.length < count) ports.push(await freePort());
  const text = readFileSync(new URL(script, import.meta.url), 'utf8');
  const server = await startServer({
    image,
    port: ports[0] as number,
    samePorts: ports,
    entrypoint: ['bash', '-c', `${settings}\n${text}`, 'nodes'],
    command: ports.map(String),
    ...(ready && { ready }),
  });
  return { server, ports };
}
