// The MQTT sink as a pipeline makes it, and Mosquitto for it, for tests that ask it and nobody else.

import definition from '../plugins/mqtt/src/index.ts';
import type { Sink, SinkAnswer, SinkBatch } from '../src/pipeline/contract/index.ts';
import { realWorld, testSinkContext } from '../src/testing/index.ts';
import { mosquittoPassword, mosquittoUser } from './mosquitto-server.ts';

const never = new AbortController().signal;

export class MqttSinkInHand implements AsyncDisposable {
  readonly #sink: Sink;

  /** As the user whom the server knows, to the topic `numbers`, unless the options say otherwise. */
  constructor(options: Readonly<Record<string, unknown>>) {
    const account = { user: mosquittoUser, password: mosquittoPassword };
    const given = { host: '127.0.0.1', topic: 'numbers', ...account, ...options };
    const context = testSinkContext({ world: realWorld(), id: 'server' });
    this.#sink = definition.create(definition.schema.parse(given) as never, context as never) as Sink;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#sink.close?.();
  }

  deliver(batch: SinkBatch): Promise<SinkAnswer> {
    return this.#sink.deliver(batch, { signal: never });
  }
}
