// Every sink that goes through the faults, in the order of docs/sinks.md. After a change here, or of the words of one:
// npm run docs:sinks
import { rabbitmq } from './rabbitmq.ts';
import { redisLists, redisStreams } from './redis.ts';
import { redisCluster } from './redis-cluster.ts';
import type { SinkSubject } from './sink-subject.ts';

export const subjects: readonly SinkSubject[] = [redisStreams, redisLists, redisCluster, rabbitmq];
