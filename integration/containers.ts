// Servers in containers for tests: started from a local image (local-images.ts), and removed whatever happens.
import { spawn, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { GenericContainer, type StartedTestContainer, Wait } from 'testcontainers';
import { beforeExit } from './exit-cleanup.ts';
import { freePort } from './free-port.ts';

/** The helper that would remove what a killed run leaves behind is an image of its own. `.ci/run` removes by label. */
process.env['TESTCONTAINERS_RYUK_DISABLED'] ??= 'true';

/** How much of its memory may be used for files that several processes share: PostgreSQL's, and those of faults. */
const sharedBytesMax = 1024 * 1024 * 1024;

/** Some servers take seconds, and several start at once. */
const startupMsMax = 60_000;

export interface ServerOptions {
  readonly image: string;
  /** Port in the container. The one on the host stays the same over every restart. */
  readonly port: number;
  readonly command: readonly string[];
  /** Instead of the image's own; the command stands behind it. */
  readonly entrypoint?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** Ports that are the same on the host as in the container, where servers tell others their own. May hold `port`. */
  readonly samePorts?: readonly number[];
  /** A folder of this machine that the server finds as /data. It then runs as whoever runs this, to write there. */
  readonly data?: string;
  /** What it logs when it is ready, for an image without a shell. Default: its port is asked, from inside as well. */
  readonly ready?: RegExp;
}

export interface StartedServer extends AsyncDisposable {
  readonly container: StartedTestContainer;
  readonly port: number;
}

/** Starts a server, and removes it and its data with `await using`, or at the latest before this process exits. */
export async function startServer(options: ServerOptions): Promise<StartedServer> {
  const { image, port, command, entrypoint, environment = {}, samePorts = [], data, ready } = options;
  const hostPort = samePorts.includes(port) ? port : await freePort();
  const others = samePorts.filter((same) => same !== port).map((same) => ({ container: same, host: same }));
  const described = new GenericContainer(image)
    .withExposedPorts({ container: port, host: hostPort }, ...others)
    .withCommand([...command])
    .withEnvironment({ ...environment })
    .withSharedMemorySize(sharedBytesMax)
    .withWaitStrategy(ready === undefined ? Wait.forListeningPorts() : Wait.forLogMessage(ready))
    .withStartupTimeout(startupMsMax);
  if (entrypoint !== undefined) described.withEntrypoint([...entrypoint]);
  if (data !== undefined) {
    described
      .withBindMounts([{ source: data, target: '/data' }])
      .withUser(`${process.getuid?.() ?? 0}:${process.getgid?.() ?? 0}`);
  }
  // By a name of its own it can be removed as well while it starts, and when it could not.
  const name = `spillway-test-${randomUUID()}`;
  // A container that is paused or was killed cannot be stopped, but removed.
  const remove = ['rm', '--force', '--volumes', name];
  // It takes longer than a process has that was told to go.
  const forget = beforeExit(() => spawn('docker', remove, { stdio: 'ignore', detached: true }).unref());
  const dispose = async (): Promise<void> => {
    forget();
    spawnSync('docker', remove, { stdio: 'ignore', timeout: 10_000 });
  };
  try {
    const container = await described.withName(name).start();
    return { container, port: hostPort, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/** Runs a program where the server runs. Rejects with what it has said if it fails. */
export async function runIn({ container }: StartedServer, ...command: readonly string[]): Promise<void> {
  const { exitCode, output } = await container.exec([...command]);
  if (exitCode !== 0) throw new Error(`${command.join(' ')}: ${output}`);
}
