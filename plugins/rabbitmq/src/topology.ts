// Exchange, queue and binding: made where the config asks for it, and otherwise asked for, so that a name that is wrong
// is known before anything is sent.
//
// A declaration that differs from what is there closes the channel, with 406. Nothing is changed or deleted, ever.
import type { AmqpConnection } from './amqp/connection.ts';
import { exchangeDeclare, method, queueBind, queueDeclare } from './amqp/method.ts';
import type { DeclareOptions, RabbitmqOptions } from './options.ts';

/** Rejects with the server's refusal if something is missing or different. */
export async function prepareTopology(connection: AmqpConnection, options: RabbitmqOptions): Promise<void> {
  const { queue, exchange, declare } = options;
  if (declare === undefined) return await askFor(connection, options);
  if (queue !== undefined) await declareQueue(connection, queue, declare);
  if (exchange === undefined) return;
  const type = declare.exchange_type ?? 'topic';
  const declaration = exchangeDeclare({ exchange, type, isPassive: false });
  await connection.call(declaration, method.exchangeDeclareOk);
  if (declare.queue === undefined) return;
  await declareQueue(connection, declare.queue, declare);
  await connection.call(queueBind(declare.queue, exchange, declare.binding_key ?? '#'), method.queueBindOk);
}

/** Whether what is published to is there. */
export async function askFor(connection: AmqpConnection, { queue, exchange }: RabbitmqOptions): Promise<void> {
  if (queue !== undefined) {
    const question = queueDeclare({ queue, arguments: {}, isPassive: true });
    await connection.call(question, method.queueDeclareOk);
  }
  if (exchange !== undefined) {
    const question = exchangeDeclare({ exchange, type: 'direct', isPassive: true });
    await connection.call(question, method.exchangeDeclareOk);
  }
}

async function declareQueue(connection: AmqpConnection, queue: string, declare: DeclareOptions): Promise<void> {
  const declaration = queueDeclare({
    queue,
    arguments: { 'x-queue-type': declare.queue_type, ...declare.arguments },
    isPassive: false,
  });
  await connection.call(declaration, method.queueDeclareOk);
}
