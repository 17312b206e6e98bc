// Which image a test starts: one that is on this machine already. Nothing is ever pulled.
// integration/images/build.sh makes them; SPILLWAY_<NAME>_IMAGE names another one.
import { spawnSync } from 'node:child_process';

const officialImages = {
  redis: 'redis:7',
  postgres: 'postgres:17',
  nats: 'nats:2.12',
  rabbitmq: 'rabbitmq:4',
  mosquitto: 'eclipse-mosquitto:2',
  rsyslog: 'rsyslog/rsyslog:latest',
  node: 'node:24-bookworm-slim',
  collector: 'otel/opentelemetry-collector-contrib:0.160.0',
} as const;

export type ImageName = keyof typeof officialImages;

export const imageNames: readonly ImageName[] = Object.keys(officialImages) as ImageName[];

function isLocal(image: string): boolean {
  return spawnSync('docker', ['image', 'inspect', image], { stdio: 'ignore', timeout: 10_000 }).status === 0;
}

export function localImage(name: ImageName): string | undefined {
  const given = process.env[`SPILLWAY_${name.toUpperCase()}_IMAGE`];
  return [given || `spillway-test/${name}`, ...(given ? [] : [officialImages[name]])].find(isLocal);
}
