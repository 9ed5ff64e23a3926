/** Which window answers: relevance for the question and sureness of the answer together. */
import { SluiceError } from '../../core/errors.ts';

export interface Candidate {
  readonly window: number;
  readonly relevance: number;
  /** 0 to 1; null = not known. */
  readonly confidence: number | null;
}

/**
 * The candidate with the highest sum of standardised relevance and the logarithm of its confidence. A candidate
 * without a confidence gets the mean of the others. Of equals the first wins.
 * @throws SluiceError INTERNAL without candidates
 */
export function pickWindow(candidates: readonly Candidate[]): number {
  const relevance = standardised(candidates.map((candidate) => candidate.relevance));
  const logs = candidates.map(({ confidence }) =>
    confidence === null ? null : Math.log(Math.max(confidence, 1e-6)),
  );
  const known = logs.filter((value) => value !== null);
  const mean = known.length === 0 ? 0 : known.reduce((a, b) => a + b, 0) / known.length;
  let best: Candidate | null = null;
  let most = -Infinity;
  for (const [at, candidate] of candidates.entries()) {
    const score = (relevance[at] ?? 0) + (logs[at] ?? mean);
    if (score > most) [most, best] = [score, candidate];
  }
  if (best === null) throw new SluiceError('INTERNAL', 'No window to choose from');
  return best.window;
}

function standardised(values: readonly number[]): number[] {
  const mean = values.reduce((a, b) => a + b, 0) / Math.max(1, values.length);
  const spread = Math.sqrt(
    values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / Math.max(1, values.length),
  );
  return values.map((value) => (spread > 0 ? (value - mean) / spread : 0));
}
