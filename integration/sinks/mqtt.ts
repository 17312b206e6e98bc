// MQTT as a sink: Mosquitto, and a subscriber of the test with a session that outlives its connections. What the server
// has taken it hands on to that one: it keeps nothing else.
import { durableMosquitto, mosquittoPassword, mosquittoUser, startMosquitto } from '../mosquitto-server.ts';
import { MqttReader, mosquittoVersion, mqttAnswers } from '../mqtt-client.ts';
import { numbersIn } from '../number-load.ts';
import type { SinkSubject, StartedSubject } from './sink-subject.ts';

const topic = 'numbers';

const common = {
  plugin: 'spillway-mqtt',
  images: ['mosquitto'],
  keepsOrder: true,
  repeats: 'possible',
  losesWith: ['killed', 'restarted', 'starved'],
  setUp:
    '`persistence true`, `autosave_on_changes true`, `max_queued_messages 0`; a subscriber at QoS 1 whose session ' +
    'outlives its connections',
} satisfies Partial<SinkSubject>;

export const mqtt5: SinkSubject = {
  ...common,
  name: 'MQTT 5',
  acknowledgement:
    'The server has taken over to hand the message to every subscriber that there is at that moment. Mosquitto has ' +
    'it in memory by then, not on its disk.',
  repeatsBecause:
    'What was published on a connection that was lost before the acknowledgement came is published again. The ' +
    "event's key is the user property `key`, by which a subscriber can tell.",
  caveats: [
    'What no session subscribes to is acknowledged and gone. `require_subscribers: true` sends it again until there ' +
      'is a subscriber.',
    'Order is kept within a topic, repeats aside. Where the server refuses single messages for a while (`0x97`), ' +
      'those that were under way behind them stand before them, at most `max_in_flight`.',
  ],
  start: () => start(5),
};

export const mqtt311: SinkSubject = {
  ...common,
  name: 'MQTT 3.1.1',
  acknowledgement:
    'The server has taken the message, or has thrown it away: in this version it cannot refuse one. Mosquitto ' +
    'acknowledges, and drops, what the access control list forbids.',
  repeatsBecause:
    'What was published on a connection that was lost before the acknowledgement came is published again, and ' +
    'nothing in the message tells that it is a repeat.',
  caveats: ['What nobody subscribes to is acknowledged and gone, and the sink is not told.'],
  start: () => start('3.1.1'),
};

async function start(version: 5 | '3.1.1'): Promise<StartedSubject> {
  const { server, reader: account, run, setPassword, reload, save } = await startMosquitto(durableMosquitto);
  const reader = await MqttReader.start(account, topic);
  await save(); // The session of the subscriber has to outlive a kill, or what comes next is lost before it is back.
  return {
    server,
    version: await mosquittoVersion(account),
    sink: {
      type: 'mqtt',
      host: '127.0.0.1',
      port: server.port,
      user: mosquittoUser,
      password: mosquittoPassword,
      protocol_version: version,
      topic,
      connect_timeout_secs: 1,
    },
    answers: () => mqttAnswers(account),
    numbers: async () => (await reader.messages()).flatMap(numbersIn),
    wrongPassword: {
      async begin() {
        await setPassword('other-password');
        await reload();
      },
      async end() {
        await setPassword(mosquittoPassword);
        await reload();
      },
    },
    starvation: {
      what: '`memory_limit` below what it has, until it is started again',
      async begin() {
        await run('sh', '-c', "printf '\\nmemory_limit 20000\\n' >> /mosquitto/config/test.conf");
        await reload();
      },
      async end() {
        await server.container.restart({ timeout: 5_000 }); // Its config is written anew, too.
      },
    },
    async [Symbol.asyncDispose]() {
      await reader[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}
