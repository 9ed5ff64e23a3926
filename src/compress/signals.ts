/** What the models say about the units of a pool, for a question. */
import type { Tier } from '../core/method.ts';
import type { Steps } from '../core/steps.ts';
import type { PairScorer, ScorerSet, TokenTable, VectorScorer } from '../score/types.ts';
import type { OpenJob } from './job.ts';
import type { PoolUnit } from './pool-unit.ts';
import { tierLimits } from './tiers.ts';

/** One value per unit; null = that model was not asked. */
export interface Signals {
  /** Weighted late interaction of the token table, in [-1, 1]; asked for in conversations only. */
  readonly table: Float32Array | null;
  /** Cosine of the mean vectors of the token table, in [-1, 1]; asked for in documents only. */
  readonly tableVectors: Float32Array | null;
  /** Cosine of the sentence vectors, in [-1, 1]. */
  readonly vectors: Float32Array | null;
  /** Logits of the cross-encoder. */
  readonly pairs: Float32Array | null;
}

export const noSignals: Signals = { table: null, tableVectors: null, vectors: null, pairs: null };

/** The models that a tier asks, as far as they are installed. */
export interface TierModels {
  readonly table: TokenTable | null;
  readonly vectors: VectorScorer | null;
  readonly pairs: PairScorer | null;
  /** False when a model that the tier asks is not installed. */
  readonly complete: boolean;
}

export function modelsOf(tier: Tier, scorers: ScorerSet): TierModels {
  const { table } = scorers;
  const vectors = tier === 'express' ? null : scorers.vectors;
  const pairs = tier === 'thorough' ? scorers.pairs : null;
  const wanted = {
    express: [table],
    balanced: [table, vectors],
    thorough: [table, vectors, pairs],
  } as const;
  return { table, vectors, pairs, complete: !wanted[tier].includes(null) };
}

/** Scripts without spaces: the shipped encoders read English, and the token table says more about these. */
const unspaced =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]/u;

export interface SignalsFound {
  readonly signals: Signals;
  /** `tier-lowered` when a model of the tier is missing, or the text too long for it or in a script that it does not read. */
  readonly notes: readonly string[];
}

/**
 * Asks the models of the tier about every unit. What is asked depends on the texts and the tier alone, never on time,
 * so that the same input has the same signals.
 * @throws what the scorers throw
 */
export async function gatherSignals(
  units: readonly PoolUnit[],
  models: TierModels,
  { job, turns }: Pick<OpenJob, 'job' | 'turns'>,
): Promise<SignalsFound> {
  const { question, signal } = job;
  const texts = units.map(({ text }) => text);
  const chars = texts.reduce((sum, text) => sum + text.length, 0);
  const within = <M>(model: M | null, limit: number): M | null => (chars <= limit ? model : null);
  const vectors = unspaced.test(question) ? null : within(models.vectors, tierLimits.vectorChars);
  const pairs = within(models.pairs, tierLimits.pairChars);
  const lowered = !models.complete || vectors !== models.vectors || pairs !== models.pairs;
  const { table } = models;
  const late = table !== null && units.some(({ turn }) => turn !== null);
  const mean = table !== null && vectors === null && units.some(({ turn }) => turn === null);
  const signals = {
    table: late ? await turns.run(inSlices(texts, (some) => table.scores(question, some))) : null,
    tableVectors: mean ? await turns.run(tableCosines(table, question, texts)) : null,
    vectors: vectors === null ? null : await cosines(vectors, { question, texts, signal }),
    pairs: pairs === null ? null : await pairs.scores(question, texts, { signal }),
  };
  return { signals, notes: lowered ? ['tier-lowered'] : [] };
}

/** UTF-16 units of text that the table is asked about at once: about a millisecond. */
const tableStride = 8192;

/** Asks about some of the texts at a time; every answer depends on its text alone. */
function* inSlices(
  texts: readonly string[],
  ask: (some: readonly string[]) => ArrayLike<number>,
): Steps<Float32Array> {
  const scores = new Float32Array(texts.length);
  let from = 0;
  let chars = 0;
  for (let at = 0; at < texts.length; at++) {
    chars += texts[at]?.length ?? 0;
    if (chars < tableStride && at + 1 < texts.length) continue;
    scores.set(ask(texts.slice(from, at + 1)), from);
    [from, chars] = [at + 1, 0];
    yield;
  }
  return scores;
}

function tableCosines(
  table: TokenTable,
  question: string,
  texts: readonly string[],
): Steps<Float32Array> {
  const [asked] = table.vectors([question]);
  return inSlices(texts, (some) => table.vectors(some).map((vector) => dot(vector, asked)));
}

function dot(a: Float32Array, b: Float32Array | undefined): number {
  return a.reduce((sum, value, i) => sum + value * (b?.[i] ?? 0), 0);
}

async function cosines(
  scorer: VectorScorer,
  ask: { readonly question: string; readonly texts: readonly string[]; signal: AbortSignal | null },
): Promise<Float32Array> {
  const { question, texts, signal } = ask;
  const [asked, ...units] = await scorer.vectors([question, ...texts], { signal });
  return Float32Array.from(units, (vector) => dot(vector, asked));
}
