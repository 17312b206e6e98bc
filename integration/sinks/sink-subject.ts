// A sink and the real server behind it, as the shared fault tests (sink-faults.ts) see them: how to start the server,
// what the pipeline is configured with, what the server holds in the end, and what is promised of it.
//
// One file per server, integration/sinks/<name>.ts, exports its subject; <name>.test.ts calls
// `sinkFaultTests(subject)`; subjects.ts lists it. Its words go into docs/sinks.md as they stand.
import type { StartedServer } from '../containers.ts';
import { type Fault, type FaultName, faultNames } from '../faults.ts';
import type { ImageName } from '../local-images.ts';
import type { Requirement } from '../requirements.ts';

/**
 * What happens to a sink, in the order of its table in docs/sinks.md. In all of them the load goes on, and the pipeline
 * is killed with SIGKILL while they last; in the last one nothing else happens.
 */
export type SinkFaultName = FaultName | 'out of memory' | 'slow' | 'starved' | 'wrong password' | 'pipeline killed';
export const sinkFaultNames: readonly SinkFaultName[] = [
  ...faultNames,
  'out of memory',
  'slow',
  'starved',
  'wrong password',
  'pipeline killed',
];

/** Those of a subject, what cannot happen to it included. */
export function faultsOf({ runsOutOfMemory = false }: SinkSubject): readonly SinkFaultName[] {
  return sinkFaultNames.filter((name) => runsOutOfMemory || name !== 'out of memory');
}

export interface SinkSubject {
  /** Heading in docs/sinks.md: 'PostgreSQL', 'Redis Streams'. */
  readonly name: string;
  /** The package with the sink: 'spillway-postgres'. None: it is built in. */
  readonly plugin?: string;
  /** Without these the tests are skipped, with a counted reason. */
  readonly images: readonly ImageName[];
  /** The server keeps the order it was given, so it is asserted. */
  readonly keepsOrder: boolean;
  /** `none`: asserted to be zero. `possible`: counted and shown. */
  readonly repeats: 'none' | 'possible';
  /** Here the server may lose what it has acknowledged: loss is counted and shown, not asserted to be zero. */
  readonly losesWith?: readonly SinkFaultName[];
  /** What a fault takes of the machine that runs the tests: without it that test is skipped, with a counted reason. */
  readonly needsFor?: Readonly<Partial<Record<SinkFaultName, readonly Requirement[]>>>;
  /** The kernel kills it for want of memory, too. Not of every server: to most it is a kill like any other. */
  readonly runsOutOfMemory?: boolean;
  /**
   * What cannot happen to this server, and why: shown instead of figures. No test is made of it. The same on every
   * machine, or docs/sinks.md would not be.
   */
  readonly notApplicable?: Readonly<Partial<Record<SinkFaultName, string>>>;
  /** Longer than the usual 15 s from the end of a fault until everything has arrived. Say why where it is given. */
  readonly recoveryMsMax?: number;
  /** What it means that the server has acknowledged an event. A sentence or two, Markdown. */
  readonly acknowledgement: string;
  /** How the server must be set up for that, and is here: 'appendonly yes, appendfsync always'. Markdown. */
  readonly setUp: string;
  /** Why repeats cannot be, or when they are possible; why order may change. One sentence, Markdown. */
  readonly repeatsBecause: string;
  /** What else an operator has to know. Markdown, a sentence or two each. */
  readonly caveats?: readonly string[];
  /** Starts a server of its own, empty and ready to take events. Called once for each test. */
  start(): Promise<StartedSubject>;
}

export interface StartedSubject extends AsyncDisposable {
  /** The container that the faults act on. Disposing of the subject removes it. */
  readonly server: StartedServer;
  /** As the server says it itself: '7.0.15'. */
  readonly version: string;
  /** The sink's own keys in the config, `type` included. Not inputs, buffer, batch or request: those are the rig's. */
  readonly sink: Readonly<Record<string, unknown>>;
  /** Whether a new client gets an answer now. Never rejects; false after two seconds at the latest. */
  answers(): Promise<boolean>;
  /**
   * The numbers of all events that the server holds, in its order, repeats included (`numbersIn`). Asked when the
   * server can be reached and nothing is on its way to it any more, perhaps several times.
   */
  numbers(): Promise<readonly number[]>;
  /** The server no longer takes our password, and throws out who is there already; then it does again. */
  readonly wrongPassword?: Fault;
  /** Memory or disk inside the server runs out; `what` says which, for the page: 'maxmemory 1mb, noeviction'. */
  readonly starvation?: Fault & { readonly what: string };
}
