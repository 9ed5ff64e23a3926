/**
 * How far a rotary base carries: the perplexity bound of "Scaling laws of RoPE-based extrapolation" (arXiv 2310.05209)
 * and the retrieval bound of "Base of RoPE bounds context length" (arXiv 2405.14591). Lengths in tokens.
 */
import { SluiceError } from '../../core/errors.ts';
import { runSteps, type Steps } from '../../core/steps.ts';

export interface Pretraining {
  /** Rotated channels of a head. */
  readonly headDim: number;
  readonly base: number;
  readonly trainedLength: number;
}

/**
 * Rotated channels that saw a whole period in training: 2 ceil((d/2) log_base(length / 2 pi)), at most all. The slower
 * ones are what goes wrong beyond it.
 */
export function criticalDimension({ headDim, base, trainedLength }: Pretraining): number {
  const periods = Math.log(trainedLength / (2 * Math.PI)) / Math.log(base);
  return Math.min(headDim, Math.max(0, 2 * Math.ceil((headDim / 2) * periods)));
}

/** Longest context under a larger base: 2 pi base^(critical / d). A hard border: flat before, collapse after. */
export function extrapolatedLength(base: number, headDim: number, critical: number): number {
  return 2 * Math.PI * base ** (critical / headDim);
}

/** The same without rounding the critical dimension up to a whole pair. */
export function continuousLength(base: number, pretraining: Pretraining): number {
  return 2 * Math.PI * base ** continuousExponent(pretraining);
}

/** The base for a wanted length: (length / 2 pi)^(d / critical). Holds above `criticalBase` of the tuning length. */
export function baseForLength(length: number, headDim: number, critical: number): number {
  if (critical <= 0) throw noCritical();
  return (length / (2 * Math.PI)) ** (headDim / critical);
}

export function continuousBase(length: number, pretraining: Pretraining): number {
  const exponent = continuousExponent(pretraining);
  if (exponent <= 0) throw noCritical();
  return (length / (2 * Math.PI)) ** (1 / exponent);
}

/**
 * beta_0: above it the tuned model reaches `extrapolatedLength`, below it the tuning length:
 * base^(log_(trained / 2 pi)(tuned / 2 pi)).
 */
export function criticalBase({ base, trainedLength }: Pretraining, tunedLength: number): number {
  if (trainedLength <= 2 * Math.PI) throw noCritical();
  return base ** (Math.log(tunedLength / (2 * Math.PI)) / Math.log(trainedLength / (2 * Math.PI)));
}

/** beta_1, beta_2, beta_3: bases at which the slowest pair sweeps pi/2, pi and 2 pi within the tuning length. */
export function smallBaseThresholds(tunedLength: number): readonly [number, number, number] {
  const first = (2 * tunedLength) / Math.PI;
  return [first, first / 2, first / 4];
}

/**
 * What a model with a changed base reaches after tuning at `tunedLength`. Above the critical base `length` is a hard
 * border; below it the model is good up to the tuning length and degrades slowly from there.
 */
export function predictedLength(
  pretraining: Pretraining,
  tuned: { readonly base: number; readonly tunedLength: number },
): { readonly length: number; readonly hard: boolean; readonly critical: number } {
  const { headDim } = pretraining;
  const { base, tunedLength } = tuned;
  const critical = criticalDimension(pretraining);
  if (base > criticalBase(pretraining, tunedLength)) {
    return { length: extrapolatedLength(base, headDim, critical), hard: true, critical };
  }
  const updated = criticalDimension({ headDim, base, trainedLength: tunedLength });
  const [first] = smallBaseThresholds(tunedLength);
  return { length: tunedLength, hard: base > first, critical: Math.max(critical, updated) };
}

/** Smallest base for retrieval at a length, as published: 0.0424 length^1.628 (arXiv 2405.14591). */
export function retrievalBase(length: number): number {
  return 0.0424 * length ** 1.628;
}

/**
 * Longest length up to which sum_i cos(m theta_i) >= 0 for every distance m (arXiv 2405.14591, section 4): as long as it
 * holds, attention prefers a similar token to a random one. Looks no further than `limit`.
 */
export function retrievalLength(inverseFrequencies: Float64Array, limit: number): number {
  return runSteps(retrievalLengthSteps(inverseFrequencies, limit));
}

export function* retrievalLengthSteps(
  inverseFrequencies: Float64Array,
  limit: number,
): Steps<number> {
  const sums = new Float64Array(scanned);
  for (let start = 1; start <= limit; start += scanned) {
    yield;
    sums.fill(0);
    for (const theta of inverseFrequencies) addCosines(sums, start, theta);
    const below = sums.findIndex((sum) => sum < 0);
    if (below >= 0 && start + below <= limit) return start + below - 1;
  }
  return limit;
}

/** Distances that are looked at together. */
const scanned = 2048;

/** Adds cos((start + k) theta) to every sum. By angle sums: a tenth of the time of a cosine, exact anew at every start. */
function addCosines(sums: Float64Array, start: number, theta: number): void {
  const [byCosine, bySine] = [Math.cos(theta), Math.sin(theta)];
  let cosine = Math.cos(start * theta);
  let sine = Math.sin(start * theta);
  for (let k = 0; k < sums.length; k += 1) {
    sums[k] = (sums[k] ?? 0) + cosine;
    const next = cosine * byCosine - sine * bySine;
    sine = sine * byCosine + cosine * bySine;
    cosine = next;
  }
}

function continuousExponent({ base, trainedLength }: Pretraining): number {
  return Math.log(trainedLength / (2 * Math.PI)) / Math.log(base);
}

function noCritical(): SluiceError {
  const message =
    'No pair of channels sees a whole period in training: the scaling law says nothing';
  return new SluiceError('REQUEST_INVALID', message);
}
