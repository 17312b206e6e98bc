// A file system in a file: small enough to be filled, and with a power switch. Needs root and a loop device.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export type FileSystemKind = 'ext4' | 'xfs';

// The same request for ext4 (EXT4_IOC_SHUTDOWN) and xfs (XFS_IOC_GOINGDOWN). 2: without writing the journal out, so
// that what was not synced is gone, as it is when the power fails.
const shutDown = 'open(my $at, "<", $ARGV[0]) or die $!; ioctl($at, 0x8004587d, my $how = pack("L", 2)) or die $!;';

// The journal as large as it must be and no room kept for root, so that a small image has room for its user.
const makers: Readonly<Record<FileSystemKind, readonly string[]>> = {
  ext4: ['mkfs.ext4', '-q', '-F', '-m', '0'],
  xfs: ['mkfs.xfs', '-q', '-f'],
};

const goneMsMax = 20_000;

/** What the program printed. */
function run(program: string, ...args: readonly string[]): string {
  // The programs of an administrator are not on everybody's path.
  const env = { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` };
  return execFileSync(program, args, { env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], timeout: 60_000 });
}

export class DiskImage {
  /** Where it is mounted. */
  readonly directory: string;
  readonly #folder: string;
  readonly #image: string;
  readonly #unmountAtExit = (): void => this.#forceOff();
  #isMounted = false;

  constructor(kind: FileSystemKind, byteLength: number) {
    this.#folder = mkdtempSync(join(tmpdir(), `spillway-${kind}-`));
    this.#image = join(this.#folder, 'image');
    this.directory = join(this.#folder, 'mounted');
    mkdirSync(this.directory);
    writeFileSync(this.#image, '');
    truncateSync(this.#image, byteLength);
    const [maker = '', ...args] = makers[kind];
    run(maker, ...args, this.#image);
    process.once('exit', this.#unmountAtExit);
  }

  mount(...options: readonly string[]): void {
    run('mount', '-o', ['loop', ...options].join(','), this.#image, this.directory);
    this.#isMounted = true;
  }

  /** Changes the options of the mounted file system. */
  remount(...options: readonly string[]): void {
    run('mount', '-o', ['remount', ...options].join(','), this.directory);
  }

  /** Resolves once nobody has it any more: it can be mounted as a new one then. */
  async unmount(): Promise<void> {
    run('umount', this.directory);
    this.#isMounted = false;
    // A container that starts at this moment has taken all mounts along, and lets go of them a little later. Until then
    // the file system lives on, and whoever mounts its image gets the one whose power was cut.
    const startedMs = performance.now();
    while (run('losetup', '--associated', this.#image) !== '') {
      if (performance.now() - startedMs > goneMsMax) throw new Error(`${this.#image} is still held after umount`);
      await sleep(10);
    }
  }

  /** Cuts the power: from now on every call fails, and what was not synced is gone once it is mounted again. */
  cutPower(): void {
    run('perl', '-e', shutDown, this.directory);
  }

  remove(): void {
    process.off('exit', this.#unmountAtExit);
    this.#forceOff();
    rmSync(this.#folder, { recursive: true });
  }

  #forceOff(): void {
    if (!this.#isMounted) return;
    // Lazily: a test that has failed may still hold files open.
    run('umount', '--lazy', this.directory);
    this.#isMounted = false;
  }
}

/** A file system in memory that is as small as an image. */
export class MemoryDisk {
  readonly directory: string;
  readonly #unmountAtExit = (): void => void run('umount', '--lazy', this.directory);

  constructor(byteLength: number) {
    this.directory = mkdtempSync(join(tmpdir(), 'spillway-tmpfs-'));
    run('mount', '-t', 'tmpfs', '-o', `size=${byteLength}`, 'tmpfs', this.directory);
    process.once('exit', this.#unmountAtExit);
  }

  remove(): void {
    process.off('exit', this.#unmountAtExit);
    this.#unmountAtExit();
    rmSync(this.directory, { recursive: true });
  }
}
