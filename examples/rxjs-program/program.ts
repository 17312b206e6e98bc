// An RxJS program with a buffer on disk between its own source and its own sink:
//
//   sensor --readings--> throughBuffer [ disk ] --deliveries--> concatMap(send) --HTTP--> store
//
// In the middle the store goes away for half a second. The sensor goes on as if nothing had happened, the disk takes
// what comes, and when the store is back it gets everything, in order. At the end it is counted.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { concatMap, defer, interval, lastValueFrom, type Observable, retry, tap, timer } from 'rxjs';
import { DiskBuffer } from 'spillway';
import { type DeliveryContract, throughBuffer } from 'spillway/rxjs';
import { sensor } from './sensor.ts';
import { Store } from './store.ts';

const sensorMs = 1_400;
const awayFromMs = 400;
const awayMs = 500;
const retryMs = 50;
/** A peer that says nothing at all is as good as away. */
const timeoutMs = 1_000;
const reportMs = 200;

/**
 * Sends a delivery until the store has taken it, and acknowledges it then. Meanwhile it keeps its place: so later ones
 * wait, and the order holds. What is not acknowledged when the process dies comes again at its next start.
 */
function send(delivery: DeliveryContract, url: string): Observable<unknown> {
  const body = delivery.records.map(({ key, payload }) => `${key} ${new TextDecoder().decode(payload)}\n`).join('');
  return defer(async () => {
    const response = await fetch(url, { method: 'POST', body, signal: AbortSignal.timeout(timeoutMs) });
    if (!response.ok) throw new Error(`the store answered ${response.status}`);
    await response.text();
  }).pipe(
    retry({ delay: retryMs }),
    tap(() => delivery.ack()),
  );
}

async function run(buffer: DiskBuffer, store: Store): Promise<boolean> {
  let sent = 0;
  const accepted = (count: number): void => {
    sent += count;
  };
  const input = sensor({ durationMs: sensorMs, accepted });
  const stage = throughBuffer(buffer, { input, maxInFlight: 1, maxRecords: 100 });

  const startedMs = performance.now();
  const report = interval(reportMs).subscribe(() => {
    const seconds = ((performance.now() - startedMs) / 1_000).toFixed(1);
    const waiting = buffer.stats().backlog.events;
    const counts = `sent ${sent}  received ${store.stored.length}  on disk ${waiting}`;
    console.log(`${seconds} s  ${counts}  store ${store.isThere ? 'is there' : 'is away'}`);
  });
  const outage = timer(awayFromMs).pipe(tap(() => store.goAway()));
  const rescue = timer(awayFromMs + awayMs).pipe(tap(() => store.comeBack()));
  const troubles = [outage.subscribe(), rescue.subscribe()];

  // Completes when the sensor has ended and everything is acknowledged.
  await lastValueFrom(stage.pipe(concatMap((delivery) => send(delivery, store.url))), { defaultValue: undefined });
  for (const each of [report, ...troubles]) each.unsubscribe();
  return conclude(sent, store);
}

function conclude(sent: number, { stored, repeated, outages }: Store): boolean {
  const lost = sent - new Set(stored).size;
  const disordered = stored.filter((number, at) => number !== at + 1).length;
  const counts = `sent ${sent}  received ${stored.length}  lost ${lost}  repeated ${repeated}  outages ${outages}`;
  console.log(`${counts}  ${disordered === 0 ? 'in order' : `${disordered} out of order`}`);
  return lost === 0 && disordered === 0;
}

async function main(): Promise<boolean> {
  const folder = await mkdtemp(join(tmpdir(), 'spillway-rxjs-'));
  const store = await Store.open();
  try {
    await using buffer = await DiskBuffer.open({ path: join(folder, 'buffer') });
    return await run(buffer, store);
  } finally {
    store.close();
    await rm(folder, { recursive: true });
  }
}

process.exitCode = (await main()) ? 0 : 1;
