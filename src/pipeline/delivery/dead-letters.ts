// What a sink would never take, kept in a file for people: a JSON line for each record, or each event of one, that was
// given up, with the reason. Durable before the record leaves the buffer.
//
// The file is opened for each run of letters and closed again. Letters are rare, and so whoever moves the file away,
// by hand or by logrotate, needs to tell nobody: the next run makes a new one.
//
// It is bounded, and never replaced: a second file would only put off the moment at which something is lost without a
// word. When it is full, or cannot be written, the sink is blocked and says why, until somebody makes room.
//
// D1  a run of letters counts as written once its bytes are synced; the name of a new file is durable before them
// D2  a line is whole, or the crash that cut it also cut its record's settlement, and the next run begins a new line
// D3  the file is not larger than maxBytes, but for one line that is alone larger

import { dirname } from 'node:path';
import { requestToJson } from '../../otlp/json.ts';
import type { Signal } from '../../otlp/signal.ts';
import type { FileHandle } from '../../platform/file-system.ts';
import { type Log, silentLog } from '../contract/log.ts';
import type { World } from '../contract/world.ts';
import { messageOf } from './guarded-sink.ts';

export interface DeadLetter {
  /** Undefined where the record does not say. */
  readonly signal: Signal | undefined;
  readonly bytes: Uint8Array;
  readonly events: number;
  /** Of its first event. */
  readonly id: number;
  readonly origin: string;
  readonly reason: string;
}

export interface LetterAnswer {
  /** So many, from the first, are durable. */
  readonly written: number;
  /** Why it is not all of them. */
  readonly failure?: string;
}

/** Where letters go. Never rejects. */
export interface LetterBox {
  write(letters: readonly DeadLetter[]): Promise<LetterAnswer>;
}

/** For sinks without a path: letters are counted and logged by the driver, and gone. */
export const noLetters: LetterBox = {
  write: (letters) => Promise.resolve({ written: letters.length }),
};

export interface DeadLetterOptions {
  readonly path: string;
  readonly maxBytes: number;
  /** The sink's id. */
  readonly sink: string;
  readonly world: Pick<World, 'clock' | 'files'>;
  readonly log?: Log;
  /** Shared by everybody who may write to the same file. */
  readonly turn?: LetterTurn;
}

/** Who writes to a file of dead letters, one after the other. */
export class LetterTurn {
  #last: Promise<unknown> = Promise.resolve();

  take<Value>(work: () => Promise<Value>): Promise<Value> {
    const done = this.#last.then(work);
    this.#last = done.catch(() => undefined);
    return done;
  }
}

/** The turns of a pipeline, one for each file: two sinks may name the same. */
export class LetterTurns {
  readonly #turns = new Map<string, LetterTurn>();

  of(path: string): LetterTurn {
    const turn = this.#turns.get(path) ?? new LetterTurn();
    this.#turns.set(path, turn);
    return turn;
  }
}

const lineEnd = 10;
const utf8 = new TextEncoder();

export class DeadLetters implements LetterBox {
  readonly #options: DeadLetterOptions;
  readonly #turn: LetterTurn;
  #writing: Promise<unknown> = Promise.resolve();

  constructor(options: DeadLetterOptions) {
    this.#options = options;
    this.#turn = options.turn ?? new LetterTurn();
  }

  /** One run after the other: two at once would write to the same place. */
  write(letters: readonly DeadLetter[]): Promise<LetterAnswer> {
    const answer = this.#turn.take(() => this.#write(letters));
    this.#writing = answer;
    return answer;
  }

  /** Resolves when nothing is being written. */
  async close(): Promise<void> {
    await this.#writing;
  }

  async #write(letters: readonly DeadLetter[]): Promise<LetterAnswer> {
    const { path, world } = this.#options;
    let file: FileHandle | undefined;
    try {
      await this.#make();
      file = await world.files.openToWrite(path);
      return await this.#append(file, letters);
    } catch (cause) {
      return { written: 0, failure: `the dead letters cannot be written: ${messageOf(cause)}` };
    } finally {
      await file?.close().catch(() => undefined); // What was synced stays synced.
    }
  }

  /** For its owner only: what is in it may be anything that was ever logged. */
  async #make(): Promise<void> {
    const { path, world } = this.#options;
    if ((await world.files.facts(path)) !== undefined) return;
    await world.files.makeDirectories(dirname(path));
    await world.files.replaceText(path, '');
  }

  async #append(file: FileHandle, letters: readonly DeadLetter[]): Promise<LetterAnswer> {
    const { path, maxBytes, log = silentLog } = this.#options;
    const start = await file.byteLength();
    let end = start;
    let written = 0;
    try {
      if (start > 0 && !(await endsWithLine(file, start))) {
        log.warn('the last line of the dead letters was cut by a crash; the next begins on a new one', { path });
        end += await writeWhole(file, Uint8Array.of(lineEnd), start);
      }
      for (const letter of letters) {
        const line = utf8.encode(`${this.#lineOf(letter)}\n`);
        if (end > 0 && end + line.length > maxBytes) break;
        end += await writeWhole(file, line, end);
        written += 1;
      }
      if (written > 0) await file.syncData();
    } catch (cause) {
      // The same letters come again; half of them twice would only puzzle the reader.
      await file.truncate(start).catch(() => undefined);
      throw cause;
    }
    if (written === letters.length) return { written };
    const failure = `the dead letters are full: ${path} has ${end} of ${maxBytes} bytes; move the file away`;
    return { written, failure };
  }

  #lineOf({ signal, bytes, events, id, origin, reason }: DeadLetter): string {
    const { sink, world } = this.#options;
    const time = new Date(world.clock.now()).toISOString();
    const facts = JSON.stringify({ time, sink, reason, signal, key: `${origin}-${id}`, events });
    return `${facts.slice(0, -1)},${contentOf(signal, bytes)}}`;
  }
}

/** The last field of a line: the request as OTLP JSON, to be sent again as it is, or the bytes of what is none. */
function contentOf(signal: Signal | undefined, bytes: Uint8Array): string {
  const json = signal === undefined ? undefined : jsonOf(signal, bytes);
  if (json !== undefined) return `"request":${json}`;
  return `"base64":"${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64')}"`;
}

function jsonOf(signal: Signal, bytes: Uint8Array): string | undefined {
  try {
    return requestToJson(signal, bytes);
  } catch (cause) {
    if (cause instanceof RangeError) return undefined; // Nested too deep, or longer than a string can be.
    throw cause;
  }
}

/** D2. */
async function endsWithLine(file: FileHandle, byteLength: number): Promise<boolean> {
  const last = new Uint8Array(1);
  const count = await file.read(last, byteLength - 1);
  return count === 1 && last[0] === lineEnd;
}

async function writeWhole(file: FileHandle, bytes: Uint8Array, position: number): Promise<number> {
  for (let done = 0; done < bytes.length; ) done += await file.write(bytes.subarray(done), position + done);
  return bytes.length;
}
