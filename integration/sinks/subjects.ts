// Every sink that goes through the faults, in the order of docs/sinks.md. After a change here, or of the words of one:
// npm run docs:sinks
import { collector } from './collector.ts';
import { mqtt5, mqtt311 } from './mqtt.ts';
import { natsJetStream } from './nats.ts';
import { postgres } from './postgres.ts';
import { rabbitmq } from './rabbitmq.ts';
import { redisLists, redisStreams } from './redis.ts';
import { redisCluster } from './redis-cluster.ts';
import type { SinkSubject } from './sink-subject.ts';
import { syslogReceipt, syslogTcp, syslogTls } from './syslog.ts';

export const subjects: readonly SinkSubject[] = [
  collector,
  postgres,
  natsJetStream,
  redisStreams,
  redisLists,
  redisCluster,
  rabbitmq,
  mqtt5,
  mqtt311,
  syslogTcp,
  syslogTls,
  syslogReceipt,
];
