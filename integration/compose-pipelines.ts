// The pipelines of docker-compose.yml: what each is called there, which servers it delivers to, and what those were
// given, so far, in any form that shows the markers of the events.
import { spawnSync } from 'node:child_process';
import type { Compose } from './compose.ts';
import { type ImageName, localImage } from './local-images.ts';
import { needs } from './requirements.ts';

export interface ComposePipeline {
  readonly service: string;
  /** The variable that says on which port of this machine it listens. */
  readonly port: string;
  /** In compose/. */
  readonly config: string;
  /** A server's service is called as its image is here, and the variable for its image after it. */
  readonly servers: readonly ImageName[];
  /** Why it cannot run with the images that are here. */
  readonly lacking?: () => string | undefined;
  /** What has to be done before anything is sent. */
  readonly prepare?: (compose: Compose) => Promise<string>;
  /** For each server what it was given. May reject until something was. */
  readonly given: (compose: Compose, server: ImageName) => Promise<string>;
}

/** Debian's server refuses compose/nats-server.conf. */
function lackingSync(): string | undefined {
  const command = ['run', '--rm', '--entrypoint', 'nats-server', localImage('nats') ?? '', '--version'];
  const { stdout } = spawnSync('docker', command, { encoding: 'utf8', timeout: 10_000 });
  return / v2\.9\./.test(stdout) ? 'needs NATS 2.10 or newer (integration/images/build.sh, with Go)' : undefined;
}

/** The reason to leave it out, or undefined if it can run here. */
export function lackingFor({ servers, lacking }: ComposePipeline): string | undefined {
  return needs('docker', 'docker-compose', ...servers.map((server) => `${server}-image` as const)) ?? lacking?.();
}

/** Mosquitto keeps messages for a session that subscribed once, and hands them out when its client is back. */
const subscriber = ['mosquitto_sub', '-i', 'reader', '-c', '-q', '1', '-t', 'telemetry/#'];

export const composePipelines: readonly ComposePipeline[] = [
  {
    service: 'spillway',
    port: 'SPILLWAY_PORT',
    config: 'pipeline.yaml',
    servers: ['redis', 'collector'],
    given: (compose, server) =>
      server === 'redis'
        ? compose.exec('redis', 'redis-cli', '--raw', 'xrange', 'telemetry-logs', '-', '+')
        : compose.run('logs', '--no-color', 'collector'),
  },
  {
    service: 'spillway-postgres',
    port: 'SPILLWAY_POSTGRES_PORT',
    config: 'postgres.yaml',
    servers: ['postgres'],
    given: (compose) =>
      compose.exec('postgres', 'psql', '-U', 'spillway', 'telemetry', '-Atc', 'select event from telemetry.logs'),
  },
  {
    service: 'spillway-nats',
    port: 'SPILLWAY_NATS_PORT',
    config: 'nats.yaml',
    servers: ['nats'],
    lacking: lackingSync,
    given: (compose) => compose.markersOnDisk('nats', '/data'),
  },
  {
    service: 'spillway-rabbitmq',
    port: 'SPILLWAY_RABBITMQ_PORT',
    config: 'rabbitmq.yaml',
    servers: ['rabbitmq'],
    given: (compose) => compose.markersOnDisk('rabbitmq', '/var/lib/rabbitmq'),
  },
  {
    service: 'spillway-mqtt',
    port: 'SPILLWAY_MQTT_PORT',
    config: 'mqtt.yaml',
    servers: ['mosquitto'],
    // `-E` leaves when the subscription stands, `-W` after a second; that one ends with an error.
    prepare: (compose) => compose.exec('mosquitto', ...subscriber, '-E'),
    given: (compose) => compose.exec('mosquitto', 'sh', '-c', `${subscriber.join(' ')} -W 1 || true`),
  },
  {
    service: 'spillway-syslog',
    port: 'SPILLWAY_SYSLOG_PORT',
    config: 'syslog.yaml',
    servers: ['rsyslog'],
    given: (compose) => compose.markersOnDisk('rsyslog', '/data'),
  },
];
