// What can happen to a server in a container. A fault begins when `begin` resolves and is over when `end` resolves.
//
// Most go through the engine's API. The others act on the wire: inside the container's network, but from outside, as
// root of this machine, so the image needs no tool for it.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { type ContainerRuntimeClient, getContainerRuntimeClient } from 'testcontainers';
import type { StartedServer } from './containers.ts';

type Container = ReturnType<ContainerRuntimeClient['container']['getById']>;

export interface Fault {
  begin(): Promise<void>;
  end(): Promise<void>;
  /** For a fault in which a new client still gets an answer: whether anybody has felt it. Asked before its end. */
  felt?(): Promise<boolean>;
}

/** Those in which nobody gets an answer. */
export const faultNames = ['paused', 'killed', 'restarted', 'cut off', 'blackholed', 'reset'] as const;
export type FaultName = (typeof faultNames)[number];

/** Those that need root here, nsenter and iptables. */
export const wireFaults: readonly FaultName[] = ['blackholed', 'reset'];

/** 32 KB a second each way: far less than the tests' load makes of itself, and enough for a batch to get through. */
const slowRate = '256kbit';
/** A second's worth may wait in front of the slow link. What comes beyond that is lost, and sent again by TCP. */
const slowQueue = ['burst', '5kb', 'latency', '1000ms'];

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
    await run(['nsenter', '--target', String(State.Pid), '--net', ...command]);
  };
  return { begin: rule('--append'), end: rule('--delete') };
}

/** A link that carries 256 kbit/s each way, and loses what does not fit. A device queues what leaves by it. */
export async function slowLink(server: StartedServer): Promise<Fault> {
  const { container: containers } = await getContainerRuntimeClient();
  const { State } = await containers.getById(server.container.getId()).inspect();
  const inside = ['nsenter', '--target', String(State.Pid), '--net'];
  // What the server says leaves by its own device; what it is told, by the end of the same cable that is out here.
  const own = (await links(inside)).find(({ ifname }) => ifname !== 'lo');
  const outer = (await links([])).find(({ ifindex }) => ifindex === own?.link_index);
  if (own === undefined || outer === undefined) throw new Error('the container has no cable to this machine');
  const ends = [
    { prefix: inside, device: own.ifname },
    { prefix: [], device: outer.ifname },
  ];
  const onBoth = async (...change: readonly string[]): Promise<void> => {
    for (const { prefix, device } of ends)
      await run([...prefix, 'tc', 'qdisc', change[0] ?? '', 'dev', device, 'root', ...change.slice(1)]);
  };
  return {
    begin: () => onBoth('add', 'tbf', 'rate', slowRate, ...slowQueue),
    end: () => onBoth('delete'),
    async felt() {
      const { prefix, device } = ends[1] ?? { prefix: [], device: '' };
      const shown = await run([...prefix, 'tc', '-json', '-statistics', 'qdisc', 'show', 'dev', device, 'root']);
      const [queue] = JSON.parse(shown) as readonly { readonly overlimits: number }[];
      return (queue?.overlimits ?? 0) > 0;
    },
  };
}

interface Link {
  readonly ifindex: number;
  readonly ifname: string;
  /** Of the other end of the cable. */
  readonly link_index?: number;
}

async function links(prefix: readonly string[]): Promise<readonly Link[]> {
  return JSON.parse(await run([...prefix, 'ip', '-json', 'link', 'show'])) as readonly Link[];
}

async function run([program = '', ...args]: readonly string[]): Promise<string> {
  const { stdout } = await execute(program, args, { timeout: 10_000 });
  return stdout;
}

async function ended(work: Promise<unknown>): Promise<void> {
  await work;
}
