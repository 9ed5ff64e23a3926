/**
 * `longllmlingua`: question-aware ranking of documents, rates by rank, contrastive token scores, optional reordering
 * (Jiang et al., ACL 2024, section 4). Subsequence recovery is `recoverSubsequence` in recover.ts.
 *
 * Defaults are those that the paper recommends, not those of the reference's signature: `condition_compare` on and
 * `dynamic_context_compression_ratio` 0.3; `reorder_context` stays `original`, because an order that changes with the
 * question makes the backend's cache useless.
 *
 * Question and instruction are read, never charged to the budget: the budget is the segments'.
 *
 * Passes: one over every document with the question after it (ranks it, and gives its own surprisals), and with
 * `condition_compare` one more over the documents that stay, with the question before them.
 */
import { assertNever, SluiceError } from '../core/errors.ts';
import type { SurprisalScorer } from '../score/types.ts';
import { runJob } from './job.ts';
import type { JobDecision, OpenJob } from './job.ts';
import { chooseContexts, lexicalRanks, orderOf } from './llmlingua-contexts.ts';
import { cutSegments, sentenceBans } from './llmlingua-cut.ts';
import { decideByReference } from './llmlingua-reference.ts';
import { meanSurprisal, requireSurprisal, scoringLanes } from './llmlingua-surprisal.ts';
import { mapBounded, segmentWords, shareTokens } from './llmlingua-words.ts';
import type { SegmentWords } from './llmlingua-words.ts';
import {
  conditionedSurprisal,
  conditionIds,
  contrastiveScores,
  scoreDocument,
} from './longllmlingua-question.ts';
import type { DocumentScores, QuestionInput } from './longllmlingua-question.ts';
import type { CompressJob, Compressor, CompressorDeps, MethodOptions } from './types.ts';

const recommended: MethodOptions = {
  condition_in_question: 'after',
  condition_compare: true,
  dynamic_context_compression_ratio: 0.3,
};

export function createLongLlmlingua(deps: CompressorDeps): Compressor {
  const scorer = deps.scorers.surprisal;
  return {
    method: 'longllmlingua',
    id: `longllmlingua@1+${scorer?.id ?? 'none'}+${deps.tokenizer.id}`,
    async compress(job) {
      const present = requireSurprisal(scorer, 'longllmlingua');
      if (job.question.trim() === '')
        throw new SluiceError(
          'METHOD_UNAVAILABLE',
          'Method longllmlingua ranks by a question, and the request has none',
        );
      if (job.options.reference === true)
        return runJob(job, deps, (input) => decideByReference(present, input, 'longllmlingua'));
      const settled: CompressJob = { ...job, options: { ...recommended, ...job.options } };
      return runJob(settled, deps, (input) => decide(present, input));
    },
  };
}

interface ReadDocument {
  readonly words: SegmentWords;
  readonly read: DocumentScores;
}

async function decide(scorer: SurprisalScorer, input: OpenJob): Promise<JobDecision> {
  const { job, deps, open } = input;
  const question: QuestionInput = { scorer, question: job.question, signal: job.signal };
  const questionFirst = job.options.condition_in_question === 'before';
  const documents = await mapBounded(open, scoringLanes, async ({ segment: { text } }) => {
    const survivors = job.survivors;
    const words = segmentWords(text, { tokenizer: deps.tokenizer, survivors }, job.options);
    const { groups } = words;
    return { words, read: await scoreDocument(question, { text, groups, questionFirst }) };
  });
  const choice = chooseContexts(input, ranksOf(input, documents));
  const scores = await mapBounded(documents, scoringLanes, async (document, position) =>
    choice.kept.includes(position) ? groupScores(question, document, job) : [],
  );
  const words = documents.map((document) => document.words);
  const banned = await sentenceBans(input, {
    choice,
    words,
    scoresOf: (position, ranges) =>
      mapBounded(ranges, scoringLanes, async ({ start, end }) => {
        const text = words[position]?.text.slice(start, end) ?? '';
        const { groups } = segmentWords(text, { tokenizer: deps.tokenizer, survivors: none }, {});
        return -(await scoreDocument(question, { text, groups, questionFirst })).questionLoss;
      }),
  });
  const cut = cutSegments(input, { method: 'longllmlingua', choice, words, scores, banned });
  return { ...cut, order: orderOf(input, choice.kept) };
}

const none = { classes: [], literals: [], patterns: [] };

/** Higher = kept sooner. */
function ranksOf(input: OpenJob, documents: readonly ReadDocument[]): number[] {
  const method = input.job.options.rank_method ?? 'longllmlingua';
  switch (method) {
    case 'bm25':
      return lexicalRanks(input);
    case 'llmlingua':
      return documents.map(({ read }) => meanSurprisal(read.scored));
    case 'longllmlingua':
      return documents.map(({ read }) => -read.questionLoss);
    default:
      return assertNever(method);
  }
}

/** Summed token scores per group: contrastive ones, or the surprisals of the ranking pass. */
async function groupScores(
  question: QuestionInput,
  { words, read }: ReadDocument,
  job: CompressJob,
): Promise<ArrayLike<number>> {
  const { text, groups } = words;
  const { options } = job;
  if (options.condition_compare !== true) return shareTokens(read.scored, groups).sums;
  const condition = conditionIds(question, options.add_instruction === true ? job.instruction : '');
  const asked = { text, groups, condition };
  const conditioned = await conditionedSurprisal(question, asked);
  const bare =
    options.condition_in_question === 'before'
      ? await conditionedSurprisal(question, { ...asked, condition: new Uint32Array(0) })
      : read.scored;
  const values = contrastiveScores(bare.values, conditioned.values);
  return shareTokens({ ...bare, values }, groups).sums;
}
