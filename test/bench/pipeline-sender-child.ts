// Sends OTLP requests as fast as they are answered, or at a rate, in a process of its own. It speaks HTTP by hand: with
// two processors for everything, a client of some comfort would take from the pipeline what it is to measure.
import { connect, type Socket } from 'node:net';
import { answer, taskOfThisProcess } from './children.ts';
import {
  type MarkedRequest,
  markBytes,
  markedRequests,
  type RequestShape,
  sharedClockMs,
  writeMark,
} from './pipeline-requests.ts';
import { percentile } from './repetitions.ts';

export type SendingTask = { readonly url: string; readonly shape: RequestShape; readonly connections: number };

/** `requestsPerSecond`: sent at this pace, each on a free connection. Otherwise each connection is kept busy. */
export type Round = { readonly forMs: number; readonly requestsPerSecond: number | undefined };

export type Sent = {
  /** Each of them was answered 200. */
  readonly requests: number;
  /** By the clock that all processes share. */
  readonly firstMs: number;
  readonly lastMs: number;
  readonly answerP50Ms: number;
  readonly answerP99Ms: number;
};

const { url, shape, connections } = taskOfThisProcess<SendingTask>();
const requests = markedRequests(shape);
const { hostname, port } = new URL(url);
const httpHead = [
  `POST /v1/${shape.signal} HTTP/1.1`,
  `host: ${hostname}:${port}`,
  'content-type: application/x-protobuf',
  'content-length: ',
].join('\r\n');
const framed = requests.map(({ head, tail }): MarkedRequest => {
  const length = head.length + markBytes + tail.length;
  return { head: Buffer.concat([Buffer.from(`${httpHead}${length}\r\n\r\n`), head]), tail };
});
let numbered = 0;

/** One request at a time on one connection. */
class Line {
  readonly #socket: Socket;
  readonly #mark = Buffer.alloc(markBytes);
  #sentMs = 0;
  #received = '';
  isFree = true;
  answered: (tookMs: number) => void = () => undefined;

  constructor(socket: Socket) {
    this.#socket = socket.setNoDelay(true).on('data', (chunk) => this.#read(chunk));
    socket.on('error', fail).on('close', () => fail(new Error('a connection was closed')));
  }

  send(sentMs: number): void {
    const request = framed[numbered % framed.length] as MarkedRequest;
    writeMark(this.#mark, sentMs, numbered);
    numbered += 1;
    this.isFree = false;
    this.#sentMs = sentMs;
    this.#socket.cork();
    this.#socket.write(request.head);
    this.#socket.write(this.#mark);
    this.#socket.write(request.tail);
    this.#socket.uncork();
  }

  #read(chunk: Buffer): void {
    this.#received += chunk.toString('latin1');
    const headEnd = this.#received.indexOf('\r\n\r\n');
    if (headEnd === -1) return;
    const length = Number(/^content-length: (\d+)/im.exec(this.#received)?.[1] ?? 0);
    if (this.#received.length < headEnd + 4 + length) return;
    if (!this.#received.startsWith('HTTP/1.1 200 ')) fail(new Error(`not taken: ${this.#received}`));
    this.#received = '';
    this.isFree = true;
    this.answered(sharedClockMs() - this.#sentMs);
  }
}

/** Ends the process, and with it the measurement: a figure with requests that were not taken would be none. */
function fail(cause: Error): never {
  throw cause;
}

async function open(): Promise<Line> {
  const socket = connect(Number(port), hostname);
  await new Promise((resolve) => socket.once('connect', resolve));
  return new Line(socket);
}

async function send({ forMs, requestsPerSecond }: Round): Promise<Sent> {
  const took: number[] = [];
  const firstMs = sharedClockMs();
  const endMs = firstMs + forMs;
  const first = numbered;
  await (requestsPerSecond === undefined ? sendClosely(took, endMs) : sendPaced(took, endMs, requestsPerSecond));
  const lastMs = sharedClockMs();
  const sorted = Float64Array.from(took).sort();
  return {
    requests: numbered - first,
    firstMs,
    lastMs,
    answerP50Ms: percentile(sorted, 0.5),
    answerP99Ms: percentile(sorted, 0.99),
  };
}

function sendClosely(took: number[], endMs: number): Promise<void> {
  return new Promise((resolve) => {
    let busy = lines.length;
    for (const line of lines) {
      line.answered = (tookMs) => {
        took.push(tookMs);
        const nowMs = sharedClockMs();
        if (nowMs < endMs) line.send(nowMs);
        else {
          busy -= 1;
          if (busy === 0) resolve();
        }
      };
      line.send(sharedClockMs());
    }
  });
}

/** A request that finds no free connection waits, and its time runs: what is late counts as late. */
function sendPaced(took: number[], endMs: number, requestsPerSecond: number): Promise<void> {
  return new Promise((resolve) => {
    const startMs = sharedClockMs();
    const total = Math.max(1, Math.round(((endMs - startMs) * requestsPerSecond) / 1_000));
    let sent = 0;
    const sendDue = (): void => {
      const nowMs = sharedClockMs();
      const due = Math.min(total, Math.floor(((nowMs - startMs) * requestsPerSecond) / 1_000) + 1);
      for (const line of lines) {
        if (sent >= due) break;
        if (!line.isFree) continue;
        const dueMs = startMs + (sent * 1_000) / requestsPerSecond;
        line.send(isLate ? dueMs : nowMs);
        sent += 1;
      }
      isLate = sent < due;
      if (sent < total) setTimeout(sendDue, 1);
    };
    let isLate = false;
    for (const line of lines) {
      line.answered = (tookMs) => {
        took.push(tookMs);
        if (took.length === total) resolve();
      };
    }
    sendDue();
  });
}

const lines = await Promise.all(Array.from({ length: connections }, open));
process.on('message', (round: Round) => void send(round).then(answer));
process.once('disconnect', () => process.exit(0));
await answer('ready');
