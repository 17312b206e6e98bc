// Runs a program of this repository under the Node it is written for:
//   node scripts/with-node.mjs [--flag ...] program [args]
//
// Why: source runs by type stripping and needs Node 24, while a fresh clone must work on a machine that has Node 20,
// npm and git. The repository therefore pins a Node as an npm package (integration/package.json) and starts everything
// through this file, which itself uses nothing that Node 20 does not have and nothing that has to be installed.
//
// In order: install what the lockfile names if it is not there; choose the Node; run; pass on signals and exit code.
// With everything installed it reads three small files, starts no process but the program, and needs no network.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { constants as osConstants } from 'node:os';
import { delimiter, dirname, join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const modules = join(root, 'node_modules');
const stampFile = join(modules, '.spillway-installed');
const lockFile = join(root, 'package-lock.json');
const installLock = join(root, '.cache', 'install.lock');
const oldestMajor = 24;

class Refusal extends Error {}

function readText(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** Names what should be installed: one lockfile on one kind of machine. */
function wantedStamp() {
  const lock = readText(lockFile);
  if (lock === undefined)
    throw new Refusal('package-lock.json is missing: restore it with git checkout package-lock.json');
  return `${createHash('sha256').update(lock).digest('hex')} ${process.platform}-${process.arch}`;
}

function majorOf(version) {
  return Number(version.replace(/^v/, '').split('.')[0]);
}

/** True for the Node that npm put into node_modules: npm scripts find that one first on their path. */
function runsUnderPin() {
  return realpathSync(process.execPath).startsWith(realpathSync(root) + sep);
}

/** The pinned package for this kind of machine, or undefined where there is none (macOS, other processors). */
function pinnedPackage() {
  const manifest = JSON.parse(readFileSync(join(root, 'integration', 'package.json'), 'utf8'));
  const name = `node-${process.platform}-${process.arch}`;
  const version = manifest.optionalDependencies?.[name];
  return version === undefined ? undefined : { name, version };
}

/** What node_modules/.bin/node is, by the manifest of the package it points into. */
function linkedPackage() {
  try {
    const binary = realpathSync(join(modules, '.bin', 'node'));
    const manifest = JSON.parse(readFileSync(join(dirname(dirname(binary)), 'package.json'), 'utf8'));
    return { binary, name: manifest.name, version: manifest.version };
  } catch {
    return undefined;
  }
}

/** The Node to run under, or undefined if it is not installed (yet). */
function chooseNode() {
  if (majorOf(process.version) >= oldestMajor && !runsUnderPin()) return process.execPath;
  const pin = pinnedPackage();
  if (pin === undefined) {
    throw new Refusal(
      `no Node is pinned for ${process.platform}-${process.arch}, and this machine has ${process.version}: install ` +
        `Node ${oldestMajor} or newer (nodejs.org, or: nvm install ${oldestMajor}) and run the same command again`,
    );
  }
  const linked = linkedPackage();
  return linked?.name === pin.name && linked.version === pin.version ? linked.binary : undefined;
}

/** The environment for npm: without the pinned Node on the path, because npm is about to replace it. */
function installEnvironment() {
  const path = (process.env.PATH ?? '').split(delimiter).filter((entry) => entry !== join(modules, '.bin'));
  return { ...process.env, PATH: path.join(delimiter) };
}

function install(stamp) {
  // `ci` takes the lockfile at its word; `install` leaves in place what is right, which suits a work tree in use.
  const command = existsSync(modules) && process.env.CI === undefined ? 'install' : 'ci';
  process.stderr.write(`spillway: npm ${command}, because node_modules does not match package-lock.json\n`);
  const npm = spawnSync('npm', [command, '--loglevel=error'], {
    cwd: root,
    env: installEnvironment(),
    stdio: ['ignore', 2, 2],
  });
  if (npm.error !== undefined)
    throw new Refusal(`npm cannot be started (${npm.error.message}): install npm 10 or newer`);
  if (npm.status !== 0) {
    throw new Refusal(
      `npm ${command} failed (its own message stands above): without a network nothing can be installed; ` +
        'if package.json and package-lock.json disagree, run npm install and commit both',
    );
  }
  // npm may have put the lockfile right, so the stamp is taken anew.
  writeFileSync(stampFile, existsSync(lockFile) ? wantedStamp() : stamp);
}

/** Two commands started at the same time must not install into each other's node_modules. */
function withInstallLock(action) {
  mkdirSync(dirname(installLock), { recursive: true });
  for (;;) {
    try {
      writeFileSync(installLock, String(process.pid), { flag: 'wx' });
      break;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
      if (isAlive(Number(readText(installLock)))) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
      else rmSync(installLock, { force: true });
    }
  }
  try {
    return action();
  } finally {
    rmSync(installLock, { force: true });
  }
}

function isAlive(processId) {
  if (!Number.isInteger(processId) || processId <= 0) return false;
  try {
    process.kill(processId, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

function isInstalled() {
  // First of all the Node: a machine that cannot have one is told so before anything is installed.
  const node = chooseNode();
  return node !== undefined && readText(stampFile) === wantedStamp();
}

function ensureNode() {
  if (!isInstalled()) {
    withInstallLock(() => {
      if (!isInstalled()) install(wantedStamp());
    });
  }
  const node = chooseNode();
  if (node !== undefined) return node;
  const pin = pinnedPackage();
  const found = linkedPackage();
  throw new Refusal(
    `node_modules/.bin/node should be ${pin.name} ${pin.version} and is ` +
      `${found === undefined ? 'missing' : `${found.name} ${found.version}`}: remove node_modules and run the same ` +
      'command again; if it stays, another package brings a node of its own and has to go',
  );
}

function run(node, args) {
  const env = { ...process.env, PATH: `${dirname(node)}${delimiter}${process.env.PATH ?? ''}` };
  const child = spawn(node, args, { cwd: root, env, stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      // A terminal sends its interrupt to the whole group, so the program already has it.
      if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal);
    });
  }
  child.on('error', (error) => {
    process.stderr.write(
      `spillway: ${node} cannot be started (${error.message}): install Node ${oldestMajor} or newer\n`,
    );
    process.exitCode = 1;
  });
  child.on('exit', (code, signal) => {
    // The shell's own convention, so that a caller sees what the program died of.
    process.exitCode = signal === null ? (code ?? 1) : 128 + (osConstants.signals[signal] ?? 0);
  });
}

try {
  run(ensureNode(), process.argv.slice(2));
} catch (error) {
  if (!(error instanceof Refusal)) throw error;
  process.stderr.write(`spillway: ${error.message}\n`);
  process.exitCode = 1;
}
