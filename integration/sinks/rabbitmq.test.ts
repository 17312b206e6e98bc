// A real RabbitMQ under all that can happen to it.
import { rabbitmq } from './rabbitmq.ts';
import { sinkFaultTests } from './sink-faults.ts';

sinkFaultTests(rabbitmq);
