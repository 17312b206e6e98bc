// What a golden directory holds, as it is written down beside it.

export type GoldenRecord = {
  readonly id: number;
  readonly events: number;
  readonly metadata: number;
  readonly text: string;
  readonly key: string;
};

export type GoldenContents = {
  readonly uuid: string;
  /** The one that the first open takes. */
  readonly epoch: number;
  readonly nextId: number;
  /** Names with the id of the first record that is not settled. */
  readonly cursors: readonly (readonly [name: string, nextId: number])[];
  /** Every record that is there, the settled ones too. */
  readonly records: readonly GoldenRecord[];
};
