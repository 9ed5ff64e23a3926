/** Token sequences on their way to a worker: texts cut to the model's length and put together in jobs. */

/** One forward pass worth of a text. */
export interface Sequence<K> {
  /** What the sequence is part of. */
  readonly key: K;
  readonly ids: readonly number[];
  /** Where the second text starts, 0 = there is none. */
  readonly second: number;
}

/** Tokens of one job: a cancelled request frees its worker when the job in it ends. */
const JOB_TOKENS = 256;

/** Borders [from, to) of pieces of nearly equal length, each at most `limit`; one piece of 0 for no tokens. */
export function evenPieces(tokens: number, limit: number): { from: number; to: number }[] {
  const count = Math.max(1, Math.ceil(tokens / limit));
  return Array.from({ length: count }, (_, i) => ({
    from: Math.floor((i * tokens) / count),
    to: Math.floor(((i + 1) * tokens) / count),
  }));
}

/** Tokens among which sequences of equal length are looked for. */
const WINDOW_TOKENS = 4096;

/**
 * Puts sequences together to jobs, those of equal length side by side, since they can share a forward pass. Sequences
 * are taken as the jobs are asked for, a window ahead.
 */
export function* jobsOf<K>(sequences: Iterable<Sequence<K>>): Generator<Sequence<K>[]> {
  for (const window of filled(sequences, WINDOW_TOKENS)) {
    window.sort((a, b) => b.ids.length - a.ids.length);
    yield* filled(window, JOB_TOKENS);
  }
}

/** Runs of sequences of at most `limit` tokens; a longer sequence is a run of its own. */
function* filled<K>(sequences: Iterable<Sequence<K>>, limit: number): Generator<Sequence<K>[]> {
  let run: Sequence<K>[] = [];
  let tokens = 0;
  for (const sequence of sequences) {
    if (run.length > 0 && tokens + sequence.ids.length > limit) {
      yield run;
      run = [];
      tokens = 0;
    }
    run.push(sequence);
    tokens += sequence.ids.length;
  }
  if (run.length > 0) yield run;
}

/** The job's arrays, each with memory of its own. */
export function inputOf<K>(job: readonly Sequence<K>[]): {
  readonly ids: Uint32Array;
  readonly lengths: Uint32Array;
  readonly seconds: Uint32Array | null;
} {
  const lengths = Uint32Array.from(job, ({ ids }) => ids.length);
  const ids = new Uint32Array(lengths.reduce((sum, length) => sum + length, 0));
  let at = 0;
  for (const sequence of job) {
    ids.set(sequence.ids, at);
    at += sequence.ids.length;
  }
  const paired = job.some(({ second }) => second > 0);
  return { ids, lengths, seconds: paired ? Uint32Array.from(job, ({ second }) => second) : null };
}
