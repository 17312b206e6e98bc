// Lists of a real Redis under all that can happen to it.

import { redisLists } from './redis.ts';
import { sinkFaultTests } from './sink-faults.ts';

sinkFaultTests(redisLists);
