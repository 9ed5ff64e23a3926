/** What a bench module gives to bench/run.ts. */

/** One row: a measured ratio against a baseline of the same run, and the bar it is held to, if any. */
export interface BenchRow {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly baseline: string;
  readonly bar: number | null;
  /** Further numbers for the file (absolute times, spread, ...). */
  readonly detail: Readonly<Record<string, number | string | null>>;
}

export interface BenchResult {
  readonly rows: readonly BenchRow[];
  /** What was left out and why; also anything that limits what the numbers mean. */
  readonly notes: readonly string[];
}

export interface BenchModule {
  readonly name: string;
  /** One line for the table's head. */
  readonly title: string;
  run(): Promise<BenchResult>;
}
