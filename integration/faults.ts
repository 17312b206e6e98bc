// What can happen to a server in a container. A fault begins when `begin` resolves and is over when `end` resolves.
//
// All but two go through the engine's API. Those two cut the wire: they act inside the container's network, but from
// outside, as root of this machine, so the image needs no tool for it.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { type ContainerRuntimeClient, getContainerRuntimeClient } from 'testcontainers';
import type { StartedServer } from './containers.ts';

type Container = ReturnType<ContainerRuntimeClient['container']['getById']>;

export interface Fault {
  begin(): Promise<void>;
  end(): Promise<void>;
}

export const faultNames = ['paused', 'killed', 'restarted', 'cut off', 'blackholed', 'reset'] as const;
export type FaultName = (typeof faultNames)[number];

/** Those that need root here, nsenter and iptables. */
export const wireFaults: readonly FaultName[] = ['blackholed', 'reset'];

const execute = promisify(execFile);
const bridge = 'bridge';
const nothing = async (): Promise<void> => undefined;

export async function faultOf(name: FaultName, server: StartedServer): Promise<Fault> {
  const { container: containers, network } = await getContainerRuntimeClient();
  const id = server.container.getId();
  const container = containers.getById(id);
  switch (name) {
    case 'paused': // The process stands still; connections stay open and nobody answers.
      return { begin: () => ended(container.pause()), end: () => ended(container.unpause()) };
    case 'killed':
      return { begin: () => ended(container.kill({ signal: 'SIGKILL' })), end: () => ended(container.start()) };
    case 'restarted': // In the manner of an upgrade: asked to end, then started again.
      return { begin: () => ended(container.restart({ t: 5 })), end: nothing };
    case 'cut off': {
      const net = network.getById(bridge);
      return {
        begin: () => ended(net.disconnect({ Container: id, Force: true })),
        end: () => ended(net.connect({ Container: id })),
      };
    }
    case 'blackholed': // Packets vanish, in both directions of time: what was under way, too.
      return wire(container, ['--jump', 'DROP']);
    case 'reset':
      return wire(container, ['--jump', 'REJECT', '--reject-with', 'tcp-reset']);
  }
}

async function wire(container: Container, action: readonly string[]): Promise<Fault> {
  const { State } = await container.inspect();
  const rule = (change: '--append' | '--delete') => async (): Promise<void> => {
    const command = ['iptables', change, 'INPUT', '--protocol', 'tcp', ...action];
    await execute('nsenter', ['--target', String(State.Pid), '--net', ...command], { timeout: 10_000 });
  };
  return { begin: rule('--append'), end: rule('--delete') };
}

async function ended(work: Promise<unknown>): Promise<void> {
  await work;
}
