// What the cases for buffers say about records, in one line each.
import type { BufferEvents } from '../../engine/events.ts';
import type { AppendResult } from '../../engine/writer.ts';
import type { CursorRequest, PipelineBuffer } from '../../pipeline/contract/buffer.ts';
import type { CursorContract, DeliveryContract, RecordContract } from '../../stage/buffer-contract.ts';
import { type ConformanceTime, check, expectSame } from './component-checks.ts';
import { bytesOf, textOf } from './file-checks.ts';

export type BufferOptions = {
  readonly whenFull: 'block' | 'drop_newest' | 'drop_oldest' | 'reject';
  readonly cursors: readonly CursorRequest[];
};

/** A place where a buffer can be opened, with nothing in it. */
export type BufferHarness = {
  readonly time: ConformanceTime;
  /**
   * Opens the buffer, as small as it can be but no smaller than 64 KiB, with a short time-out for `close`. A second
   * open comes after the close of the first.
   */
  open(options: BufferOptions): Promise<PipelineBuffer>;
  /** What is there after close and open: everything not acknowledged, with its keys; nothing; or a part. */
  readonly keeps: 'everything' | 'nothing' | 'a part';
  /** A chain drops what is oldest in its last stage, while older records lie in the stages before it. */
  readonly dropsInTheMiddle?: boolean;
  close(): Promise<void>;
};

export type BufferCase = {
  readonly name: string;
  readonly options?: Partial<BufferOptions>;
  look(probe: BufferProbe, harness: BufferHarness): Promise<void>;
};

/** An open buffer, and the ways in which cases use it. */
export class BufferProbe {
  readonly buffer: PipelineBuffer;
  readonly time: ConformanceTime;

  constructor(buffer: PipelineBuffer, time: ConformanceTime) {
    this.buffer = buffer;
    this.time = time;
  }

  /** Appends records of one event, one after the other. Returns their ids. */
  async append(...texts: readonly string[]): Promise<number[]> {
    const ids: number[] = [];
    for (const text of texts) ids.push(idOf(await this.time.run(this.buffer.append(bytesOf(text)))));
    return ids;
  }

  cursor(name: string = 'default'): CursorContract {
    return this.buffer.cursor(name);
  }

  async read(
    cursor: CursorContract = this.cursor(),
    options: Parameters<CursorContract['read']>[0] = {},
  ): Promise<DeliveryContract> {
    const delivery = await this.time.run(cursor.read(options));
    if (delivery === undefined) throw new Error('read said that the buffer is closed');
    return delivery;
  }

  /** Reads until so many records are there, and returns the deliveries. */
  async readRecords(count: number, cursor: CursorContract = this.cursor()): Promise<DeliveryContract[]> {
    const deliveries: DeliveryContract[] = [];
    for (let found = 0; found < count; ) {
      const delivery = await this.read(cursor);
      found += delivery.records.length;
      deliveries.push(delivery);
    }
    return deliveries;
  }

  /** Reads and acknowledges until the cursor has settled everything. Returns the texts. */
  async drain(cursor: CursorContract = this.cursor()): Promise<string[]> {
    const texts: string[] = [];
    while (this.backlogOf(cursor) > 0) {
      const delivery = await this.readOrStop(cursor);
      if (delivery === undefined) break;
      texts.push(...textsOf(delivery));
      delivery.ack();
    }
    return texts;
  }

  /** The next delivery, or undefined once the cursor has nothing left: what came was a gap. */
  async readOrStop(cursor: CursorContract): Promise<DeliveryContract | undefined> {
    const stop = new AbortController();
    let answer: DeliveryContract | undefined;
    let settled = false;
    const reading = cursor.read({ signal: stop.signal }).then(
      (delivery) => {
        answer = delivery;
        settled = true;
      },
      () => {
        settled = true;
      },
    );
    await this.time.until(() => settled || this.backlogOf(cursor) === 0, 'records, or nothing left of them');
    stop.abort();
    await this.time.run(reading);
    return answer;
  }

  backlogOf({ name }: CursorContract): number {
    const found = this.buffer.stats().cursors.find((each) => each.name === name);
    if (found === undefined) throw new Error(`stats know no cursor ${name}`);
    return found.backlog.events;
  }

  /** Appends until an append waits for room. Each payload begins with its number. */
  async fill(): Promise<{
    readonly stored: number;
    readonly waiting: Promise<AppendResult>;
    abort(reason: Error): void;
  }> {
    for (let stored = 0; stored < appendsMax; stored++) {
      const stop = new AbortController();
      let settled = false;
      const waiting = this.buffer.append(paddedBytes(stored), { signal: stop.signal });
      const note = (): void => {
        settled = true;
      };
      waiting.then(note, note);
      await this.time.until(() => settled || this.buffer.stats().waitingAppends > 0, 'an append that is answered');
      if (!settled) return { stored, waiting, abort: (reason) => stop.abort(reason) };
      idOf(await waiting);
    }
    throw new Error(`${appendsMax} appends of ${paddedBytesLength} bytes did not fill the buffer`);
  }

  /** Everything that is lost from now on. */
  losses(): BufferEvents['lost'][] {
    const losses: BufferEvents['lost'][] = [];
    this.buffer.events.on('lost', (loss) => losses.push(loss));
    return losses;
  }
}

const appendsMax = 1_000;
export const paddedBytesLength = 20_000;

/** A large payload that begins with its number. */
export function paddedBytes(number: number): Uint8Array {
  return bytesOf(`${number} `.padEnd(paddedBytesLength, '.'));
}

export function numbersOf(texts: readonly string[]): number[] {
  return texts.map((text) => Number.parseInt(text, 10));
}

export function idOf(result: AppendResult): number {
  if (result.status !== 'stored') throw new Error(`an append was ${result.status}: ${result.reason}`);
  return result.recordId;
}

export function textsOf({ records }: DeliveryContract): string[] {
  return records.map(({ payload }) => textOf(payload));
}

export function recordsOf(deliveries: readonly DeliveryContract[]): RecordContract[] {
  return deliveries.flatMap(({ records }) => [...records]);
}

export function expectTexts(delivery: DeliveryContract, ...texts: readonly string[]): void {
  expectSame(textsOf(delivery), texts, 'records');
}

/** The call fails with an error of this code. */
export async function expectCode(code: string, call: () => unknown): Promise<void> {
  try {
    await call();
  } catch (cause) {
    const found = cause instanceof Error && 'code' in cause ? cause.code : String(cause);
    check(found === code, `expected an error with the code ${code}, found ${String(found)}`);
    return;
  }
  throw new Error(`expected an error with the code ${code}, and there was none`);
}
