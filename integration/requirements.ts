// What a test needs of the machine, and the reason it is skipped without it. Nothing is skipped silently: the reason is
// given to vitest, and the closing lines of the run count it.
//   it('survives a power cut', (context) => {
//     const reason = needs('root', 'loop-device');
//     if (reason !== undefined) context.skip(reason);
import { spawnSync } from 'node:child_process';
import { type ImageName, imageNames, localImage } from './local-images.ts';

export type Requirement =
  | 'linux'
  | 'root'
  | 'loop-device'
  | 'mkfs.ext4'
  | 'mkfs.xfs'
  | 'perl'
  | 'openssl'
  | 'docker'
  | 'docker-compose'
  | 'docker-compose-v1'
  | `${ImageName}-image`
  | 'wire'
  | 'slow-link'
  | 'memory-limit';

function succeeds(program: string, ...args: readonly string[]): boolean {
  // The programs of an administrator are not on everybody's path.
  const env = { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` };
  return spawnSync(program, args, { env, stdio: 'ignore', timeout: 10_000 }).status === 0;
}

/** Whether the engine can limit the memory of a container, swap included. */
function limitsMemory(): boolean {
  const args = ['info', '--format', '{{.MemoryLimit}} {{.SwapLimit}}'];
  const { stdout } = spawnSync('docker', args, { encoding: 'utf8', timeout: 10_000 });
  return stdout?.trim() === 'true true';
}

const isRoot = (): boolean => process.getuid?.() === 0;

type ImageRequirement = `${ImageName}-image`;

function ofImages<Value>(given: (name: ImageName) => Value): Readonly<Record<ImageRequirement, Value>> {
  const values = imageNames.map((name) => [`${name}-image`, given(name)]);
  return Object.fromEntries(values) as Record<ImageRequirement, Value>;
}

const checks: Readonly<Record<Requirement, () => boolean>> = {
  ...ofImages((name) => () => localImage(name) !== undefined),
  linux: () => process.platform === 'linux',
  root: isRoot,
  // Root inside a container may be refused both: a loop device, and the right to mount it.
  'loop-device': () => isRoot() && succeeds('losetup', '--find') && succeeds('unshare', '--mount', 'true'),
  'mkfs.ext4': () => succeeds('mkfs.ext4', '-V'),
  'mkfs.xfs': () => succeeds('mkfs.xfs', '-V'),
  perl: () => succeeds('perl', '-e', '1'),
  openssl: () => succeeds('openssl', 'version'),
  docker: () => succeeds('docker', 'version', '--format', '{{.Server.Version}}'),
  'docker-compose': () => succeeds('docker-compose', 'version') || succeeds('docker', 'compose', 'version'),
  'docker-compose-v1': () => succeeds('docker-compose', 'version'),
  wire: () => isRoot() && succeeds('nsenter', '--version') && succeeds('iptables', '--version'),
  'slow-link': () => isRoot() && succeeds('nsenter', '--version') && succeeds('ip', '-V') && succeeds('tc', '-V'),
  'memory-limit': limitsMemory,
};

const reasons: Readonly<Record<Requirement, string>> = {
  ...ofImages((name) => `needs a local image of ${name} (integration/images/build.sh)`),
  linux: 'needs Linux',
  root: 'needs root',
  'loop-device': 'needs root, a free loop device and the right to mount it',
  'mkfs.ext4': 'needs mkfs.ext4 (e2fsprogs)',
  'mkfs.xfs': 'needs mkfs.xfs (xfsprogs)',
  perl: 'needs perl',
  openssl: 'needs openssl',
  docker: 'needs a Docker engine that answers',
  'docker-compose': 'needs docker compose',
  'docker-compose-v1': 'needs the program docker-compose',
  'collector-image': 'needs a local image of the OpenTelemetry Collector (integration/images/build.sh, with Go)',
  wire: 'needs root, nsenter and iptables',
  'slow-link': 'needs root, nsenter, ip and tc (iproute2)',
  'memory-limit': 'needs a Docker engine that can limit memory',
};

const known = new Map<Requirement, boolean>();

/** The reason to skip, or undefined if the machine has everything named. */
export function needs(...requirements: readonly Requirement[]): string | undefined {
  for (const requirement of requirements) {
    const met = known.get(requirement) ?? checks[requirement]();
    known.set(requirement, met);
    if (!met) return reasons[requirement];
  }
  return undefined;
}
