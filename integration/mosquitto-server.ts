// A Mosquitto in a container, with the config that a test wants of it and two users: the sink, and the test itself.
import { runIn, type StartedServer, startServer } from './containers.ts';
import { localImage } from './local-images.ts';
import type { MqttAccount } from './mqtt-client.ts';

export const mosquittoUser = 'spillway';
export const mosquittoPassword = 'right-password';
const folder = '/mosquitto/config';
const passwords = `${folder}/passwords`;
const readerPassword = 'reader-password';

/**
 * Messages are kept for a subscriber however many they are, and written down often; Nagle's algorithm would have the
 * end of each batch wait for a delayed acknowledgement of TCP.
 */
export const durableMosquitto: readonly string[] = [
  'persistence true',
  'persistence_location /mosquitto/data/',
  'autosave_on_changes true',
  'autosave_interval 100',
  'max_queued_messages 0',
  'set_tcp_nodelay true',
];

/**
 * With an access control list, in a file that is read anew. Where the number of queued messages has no limit at all,
 * this server ends the connection instead of refusing a message.
 */
export const guardedMosquitto: readonly string[] = [
  ...durableMosquitto.map((line) => line.replace('max_queued_messages 0', 'max_queued_messages 1000000')),
  `acl_file ${folder}/access`,
];

/** What stands in that file: the reader may do everything, the sink write to these topics. */
export function accessTo(topics: string): string {
  return `user reader\ntopic readwrite #\ntopic read $SYS/#\nuser ${mosquittoUser}\ntopic write ${topics}\n`;
}

export interface Mosquitto {
  readonly server: StartedServer;
  /** The test's own, that nobody keeps out. */
  readonly reader: MqttAccount;
  /** Writes a file beside the config. The server may read it, whatever it runs as. */
  write(name: string, text: string): Promise<void>;
  setPassword(password: string): Promise<void>;
  /** Reads its files again. Who is connected and may not be any more is thrown out. */
  reload(): Promise<void>;
  /** Writes down what it has. */
  save(): Promise<void>;
  run(...command: readonly string[]): Promise<void>;
}

/** `files` stand beside the config before the server starts. */
export async function startMosquitto(
  config: readonly string[],
  files: Readonly<Record<string, string>> = {},
): Promise<Mosquitto> {
  const image = localImage('mosquitto');
  if (image === undefined) throw new Error('no image: see requirements.ts');
  const port = 1883;
  const lines = [`listener ${port}`, 'allow_anonymous false', `password_file ${passwords}`, ...config];
  const all = { ...files, 'test.conf': lines.join('\n') };
  const script = [
    ...Object.entries(all).map(([name, text]) => `printf %s '${text}' > ${folder}/${name}`),
    `mosquitto_passwd -b -c ${passwords} ${mosquittoUser} ${mosquittoPassword}`,
    `mosquitto_passwd -b ${passwords} reader ${readerPassword}`,
    `chmod 0644 ${folder}/*`,
    `exec mosquitto -c ${folder}/test.conf`,
  ];
  // Both this image's entry point and that of the official one hand over to a command.
  const server = await startServer({ image, port, command: ['sh', '-c', script.join(' && ')] });
  const run = (...command: readonly string[]): Promise<void> => runIn(server, ...command);
  return {
    server,
    reader: { port: server.port, username: 'reader', password: readerPassword },
    write: (name, text) => run('sh', '-c', `printf %s '${text}' > ${folder}/${name}`),
    async setPassword(password) {
      await run('mosquitto_passwd', '-b', passwords, mosquittoUser, password);
      await run('chmod', '0644', passwords);
    },
    reload: () => run('kill', '-HUP', '1'),
    save: () => run('kill', '-USR1', '1'),
    run,
  };
}
