// A real PostgreSQL under all that can happen to it.
import { postgres } from './postgres.ts';
import { sinkFaultTests } from './sink-faults.ts';

sinkFaultTests(postgres);
