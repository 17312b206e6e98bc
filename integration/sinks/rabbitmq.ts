// RabbitMQ as a sink: a quorum queue, which is what its documentation asks for where nothing may be lost. It syncs its
// log before it confirms; with one node that node is the quorum.
import { runIn, startServer } from '../containers.ts';
import { localImage } from '../local-images.ts';
import { numbersIn } from '../number-load.ts';
import { RabbitmqClient } from '../rabbitmq-client.ts';
import type { SinkSubject, StartedSubject } from './sink-subject.ts';

const port = 5672;
const queue = 'numbers';
const otherPassword = 'other-password';

export const rabbitmq: SinkSubject = {
  name: 'RabbitMQ',
  plugin: 'spillway-rabbitmq',
  images: ['rabbitmq'],
  keepsOrder: true,
  repeats: 'possible',
  runsOutOfMemory: true,
  // It takes several seconds to start, more on a busy machine: after a kill nothing arrives before that.
  recoveryMsMax: 30_000,
  acknowledgement: 'A publisher confirm: every queue that the message was routed to has written and synced it.',
  setUp: 'a quorum queue of one node, declared before; persistent messages, publisher confirms',
  repeatsBecause:
    'The server drops no repeats: what was published on a connection that was lost before the confirmation came is ' +
    "published again. The event's key is the `message_id`, by which a consumer can tell.",
  caveats: [
    'Order is kept within a queue, repeats aside. Where a full queue refuses single messages (`x-overflow: ' +
      'reject-publish`) or a binding is made meanwhile, those of the same batch that were taken stand before them.',
    'RabbitMQ 3.10 writes the name of a new quorum queue down within three seconds: a server that is killed before ' +
      'that loses the queue, with what it has confirmed. Here it is made to write at once.',
  ],
  start,
};

/** A RabbitMQ with one user, guest. */
export async function startRabbitmq(): Promise<
  Pick<StartedSubject, 'server'> & {
    readonly url: string;
    readonly client: RabbitmqClient;
    /** Runs a piece of Erlang in the server, as rabbitmqctl does, which takes a second for itself. */
    evaluate(erlang: string): Promise<void>;
  }
> {
  const image = localImage('rabbitmq');
  if (image === undefined) throw new Error('no image: see requirements.ts');
  const server = await startServer({ image, port, command: [], ready: /Server startup complete/ });
  const url = `amqp://guest:guest@127.0.0.1:${server.port}`;
  return {
    server,
    url,
    client: new RabbitmqClient(url),
    evaluate: (erlang) => runIn(server, 'rabbitmqctl', 'eval', erlang),
  };
}

const setPassword = (password: string): string =>
  `rabbit_auth_backend_internal:change_password(<<"guest">>, <<"${password}">>, <<"test">>)`;

/** Memory is looked at once in a while; this looks now. */
export const memoryAlarm = {
  begin: 'vm_memory_monitor:set_vm_memory_high_watermark(0.00001).',
  end: 'vm_memory_monitor:set_vm_memory_high_watermark(0.4).',
} as const;

/** What the names of new quorum queues wait in for up to three seconds: a kill before that loses queue and messages. */
const syncNames = '[dets:sync(Table) || Table <- dets:all()].';

async function start(): Promise<StartedSubject> {
  const { server, url, client, evaluate } = await startRabbitmq();
  await client.with((channel) => channel.assertQueue(queue, { arguments: { 'x-queue-type': 'quorum' } }));
  await evaluate(syncNames);
  const found: number[] = [];
  return {
    server,
    version: await client.version(),
    sink: { type: 'rabbitmq', connection_string: url, queue, declare: {}, connect_timeout_secs: 1 },
    answers: () => RabbitmqClient.answers(server.port),
    async numbers() {
      for (const body of await client.takeAll(queue)) found.push(...numbersIn(body));
      return found;
    },
    wrongPassword: {
      begin: () => evaluate(`${setPassword(otherPassword)}, rabbit_networking:close_all_connections("for a test").`),
      end: () => evaluate(`${setPassword('guest')}.`),
    },
    starvation: {
      what: 'a memory alarm: `vm_memory_high_watermark` below what it has',
      begin: () => evaluate(memoryAlarm.begin),
      end: () => evaluate(memoryAlarm.end),
    },
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
    },
  };
}
