// A real Redis under all that can happen to it.

import { redisStreams } from './redis.ts';
import { sinkFaultTests } from './sink-faults.ts';

sinkFaultTests(redisStreams);
