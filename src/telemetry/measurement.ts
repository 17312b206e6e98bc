// How measurements travel: who is measured reports at a collection, and records what has a distribution when it
// happens. Who listens (OpenTelemetry instruments, the text for Prometheus) knows nothing of buffers.

export type Attributes = Readonly<Record<string, string>>;

/** Takes a value of a metric of the table. */
export type Report = (name: string, value: number, attributes: Attributes) => void;

/** Something that is measured. */
export interface Subject {
  /** Reports every value as it is now. Called at a collection; may ask the disk for little. */
  collect(report: Report): void | Promise<void>;
}

/** One report for each state there is, so that a state which was left says 0. */
export function reportState(options: {
  readonly report: Report;
  readonly name: string;
  readonly key: string;
  readonly states: readonly string[];
  readonly state: string;
  readonly attributes: Attributes;
}): void {
  const { report, name, key, states, state, attributes } = options;
  const all = states.includes(state) ? states : [...states, state];
  for (const each of all) report(name, each === state ? 1 : 0, { ...attributes, [key]: each });
}
