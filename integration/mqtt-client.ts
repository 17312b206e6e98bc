// The other side of an MQTT server: who reads what the sink has published, and who asks whether the server answers.
// Through a client of others, which reconnects and resends by itself: here that is what is wanted.
import { connectAsync, type IClientOptions, type MqttClient } from 'mqtt';

export interface MqttAccount {
  readonly port: number;
  readonly username: string;
  readonly password: string;
}

const answerMs = 2_000;
const patienceMs = 20_000;

function optionsOf({ port, username, password }: MqttAccount, more: IClientOptions): IClientOptions {
  const wait = { connectTimeout: answerMs, reconnectPeriod: 0, protocolVersion: 5 as const };
  return { host: '127.0.0.1', port, username, password, ...wait, ...more };
}

/** Whether a new client gets an answer now. Never rejects. */
export async function mqttAnswers(account: MqttAccount): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, answerMs, undefined);
  });
  const connected = connectAsync(optionsOf(account, {}));
  connected.then(
    (client) => client.end(true),
    () => undefined,
  );
  try {
    return (await Promise.race([connected, late])) !== undefined;
  } catch {
    return false;
  } finally {
    clearTimeout(timer);
  }
}

/** A subscriber with a session that outlives its connections: what the server has for it, it gets sooner or later. */
export class MqttReader implements AsyncDisposable {
  readonly #client: MqttClient;
  readonly #topic: string;
  readonly #messages: string[] = [];
  readonly #fences = new Set<string>();
  #nextFence = 1;

  private constructor(client: MqttClient, topic: string) {
    this.#client = client;
    this.#topic = topic;
    client.on('error', () => undefined);
    client.on('message', (_, payload) => this.#take(payload.toString('latin1')));
  }

  /** `topic` has to be one that messages can be sent to; `filter` may be more than that. */
  static async start(account: MqttAccount, topic: string, filter: string = topic): Promise<MqttReader> {
    const session = { clean: false, clientId: 'reader', properties: { sessionExpiryInterval: 3600 } };
    // A server that is gone without a word is missed after three seconds.
    const client = await connectAsync(optionsOf(account, { ...session, reconnectPeriod: 50, keepalive: 2 }));
    const reader = new MqttReader(client, topic);
    await client.subscribeAsync(filter, { qos: 1 });
    return reader;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.endAsync(true);
  }

  /** Everything that the server had when this was asked, in the order in which it gave it. */
  async messages(): Promise<readonly string[]> {
    const deadlineMs = performance.now() + patienceMs;
    while (performance.now() < deadlineMs) if (await this.#passesFence()) return this.#messages;
    throw new Error(`the subscriber got nothing of what it has sent itself, within ${patienceMs} ms`);
  }

  /** A message of its own comes behind everything that the server has for it. It may be lost as any other. */
  async #passesFence(): Promise<boolean> {
    const fence = `fence-${this.#nextFence}`;
    this.#nextFence += 1;
    this.#client.publish(this.#topic, fence, { qos: 1 });
    for (let look = 0; look < 100; look += 1) {
      if (this.#fences.has(fence)) return true;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return false;
  }

  #take(message: string): void {
    if (message.startsWith('fence-')) this.#fences.add(message);
    else this.#messages.push(message);
  }
}

/** What the server says of itself. */
export async function mosquittoVersion(account: MqttAccount): Promise<string> {
  const client = await connectAsync(optionsOf(account, {}));
  const said = new Promise<string>((resolve) => {
    client.once('message', (_, payload) => resolve(payload.toString()));
    client.once('close', () => resolve('it did not say so'));
  });
  const giveUp = setTimeout(() => client.end(true), answerMs);
  await client.subscribeAsync('$SYS/broker/version').catch(() => undefined);
  const version = /\d+\.\d+\.\d+/.exec(await said)?.[0] ?? 'unknown';
  clearTimeout(giveUp);
  await client.endAsync(true);
  return version;
}
