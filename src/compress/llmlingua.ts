/**
 * `llmlingua`: budget controller, optional sentence filter, iterative token-level pruning (Jiang et al., EMNLP 2023,
 * sections 4.1 and 4.2).
 *
 * Where it differs from the reference implementation, on purpose:
 * - Every token goes through the scorer once (plus a short left context per window): the same surprisals rank the
 *   contexts, rank the sentences and prune. The reference scores everything a second and third time.
 * - A window is read after the last tokens of what is kept of the windows before it, within its own segment only: a
 *   segment's scores never depend on other documents.
 * - The score of a token is its own surprisal, words are dropped whole, the budget is exact, short texts are pruned too.
 * - Question and instruction are not charged to the budget and not compressed: the budget is the segments'.
 */
import type { SurprisalScorer } from '../score/types.ts';
import { runJob } from './job.ts';
import type { JobDecision, OpenJob, OpenSegment } from './job.ts';
import { chooseContexts, lexicalRanks, orderOf } from './llmlingua-contexts.ts';
import { decideByReference } from './llmlingua-reference.ts';
import { cutSegments, sentenceBans } from './llmlingua-cut.ts';
import {
  iterativeSize,
  leftContextTokens,
  meanSurprisal,
  requireSurprisal,
  scoringLanes,
  textSurprisal,
} from './llmlingua-surprisal.ts';
import type { TextSurprisal } from './llmlingua-surprisal.ts';
import { mapBounded, segmentWords, shareTokens } from './llmlingua-words.ts';
import type { SegmentWords } from './llmlingua-words.ts';
import type { Compressor, CompressorDeps } from './types.ts';

export function createLlmlingua(deps: CompressorDeps): Compressor {
  const scorer = deps.scorers.surprisal;
  return {
    method: 'llmlingua',
    id: `llmlingua@1+${scorer?.id ?? 'none'}+${deps.tokenizer.id}`,
    async compress(job) {
      const present = requireSurprisal(scorer, 'llmlingua');
      return runJob(job, deps, (input) =>
        job.options.reference === true
          ? decideByReference(present, input, 'llmlingua')
          : decide(present, input),
      );
    },
  };
}

/** One open segment after scoring. */
interface ScoredSegment {
  readonly words: SegmentWords;
  readonly scored: TextSurprisal;
}

async function decide(scorer: SurprisalScorer, input: OpenJob): Promise<JobDecision> {
  const scored = await mapBounded(input.open, scoringLanes, (segment) =>
    scoreSegment(scorer, input, segment),
  );
  const ranks =
    input.job.options.rank_method === 'bm25'
      ? lexicalRanks(input)
      : scored.map(({ scored: values }) => meanSurprisal(values));
  const choice = chooseContexts(input, ranks);
  const banned = await sentenceBans(input, {
    choice,
    words: scored.map(({ words }) => words),
    scoresOf: (position, ranges) =>
      ranges.map(({ start, end }) => {
        const values = scored[position]?.scored;
        return values === undefined ? Number.NaN : meanSurprisal(values, start, end);
      }),
  });
  const cut = cutSegments(input, {
    method: 'llmlingua',
    choice,
    words: scored.map(({ words }) => words),
    scores: scored.map(({ words, scored: values }) => shareTokens(values, words.groups).sums),
    banned,
  });
  return { ...cut, order: orderOf(input, choice.kept) };
}

async function scoreSegment(
  scorer: SurprisalScorer,
  input: OpenJob,
  open: OpenSegment,
): Promise<ScoredSegment> {
  const { job, deps } = input;
  const { text } = open.segment;
  const words = segmentWords(
    text,
    { tokenizer: deps.tokenizer, survivors: job.survivors },
    job.options,
  );
  const scored = await textSurprisal({
    scorer,
    text,
    groups: words.groups,
    windowTokens: iterativeSize(job.options.iterative_size),
    before: pinnedTail(scorer, input, open),
    left: {
      kind: 'compressed',
      rate: Math.min(1, open.budgetTokens / Math.max(1, open.tokens)),
      fixed: words.fixed,
    },
    signal: job.signal,
  });
  return { words, scored };
}

/** The last tokens of a pinned segment that stands right before the open one: text that is read whatever happens. */
function pinnedTail(
  scorer: SurprisalScorer,
  { job }: OpenJob,
  { index }: OpenSegment,
): Uint32Array {
  const before = job.segments[index - 1];
  if (before?.policy !== 'pinned') return new Uint32Array(0);
  // Some characters per token and to spare; only the last tokens are used.
  return scorer.encode(before.text.slice(-16 * leftContextTokens)).ids;
}
