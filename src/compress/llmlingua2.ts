/**
 * `llmlingua2`: keep probabilities of a token classifier, words above one threshold per segment (Pan et al., ACL
 * Findings 2024, section 4).
 *
 * Where it differs from the reference implementation, on purpose: one exact threshold per segment instead of a
 * percentile per chunk; words are this package's word groups, so numbers and identifiers stay whole, scripts without
 * spaces are cut at words and text around kept words is the original's; forced tokens are kept wherever they occur;
 * text that looks like a special token is plain text.
 */
import { SluiceError } from '../core/errors.ts';
import type { KeepScorer, TokenScores } from '../score/types.ts';
import { runJob } from './job.ts';
import type { JobDecision, OpenJob, SegmentDecision } from './job.ts';
import { belowSurvivorsNote, decisionOf } from './llmlingua-cut.ts';
import { contextQuotas } from './llmlingua-contexts.ts';
import { scoreInChunks } from './llmlingua2-chunks.ts';
import { decideByReference2 } from './llmlingua2-reference.ts';
import { groupMeans, mapBounded, segmentWords, shareTokens } from './llmlingua-words.ts';
import type { SegmentWords } from './llmlingua-words.ts';
import { cutForced } from './llmlingua2-force.ts';
import { wholeMask } from './mask.ts';
import type { GroupRanges } from './mask.ts';
import { mean } from './reference/numbers.ts';
import type { ReferenceVocabulary } from './reference/models.ts';
import type { Compressor, CompressorDeps } from './types.ts';
import { scoringLanes } from './llmlingua-surprisal.ts';

/**
 * @param vocabulary The classifier's pieces and the counting vocabulary; only reference mode asks for them.
 */
export function createLlmlingua2(
  deps: CompressorDeps,
  vocabulary: ReferenceVocabulary | null = null,
): Compressor {
  const scorer = deps.scorers.keep;
  return {
    method: 'llmlingua2',
    id: `llmlingua2@1+${scorer?.id ?? 'none'}+${deps.tokenizer.id}`,
    async compress(job) {
      if (scorer === null)
        throw new SluiceError(
          'METHOD_UNAVAILABLE',
          'Method llmlingua2 needs a token classifier, and none is installed',
        );
      if (job.options.reference !== true)
        return runJob(job, deps, (input) => decide(scorer, input));
      if (vocabulary === null)
        throw new SluiceError(
          'METHOD_UNAVAILABLE',
          'Reference mode of llmlingua2 needs the vocabulary of its classifier, and none was given',
        );
      return runJob(job, deps, (input) => decideByReference2(scorer, vocabulary, input));
    },
  };
}

interface JudgedSegment {
  readonly words: SegmentWords;
  /** Keep probability per group; NaN where no token covers it. */
  readonly probabilities: Float32Array;
}

async function decide(scorer: KeepScorer, input: OpenJob): Promise<JobDecision> {
  const { job, deps, open } = input;
  const judged = await mapBounded(open, scoringLanes, async ({ segment }) => {
    const survivors = job.survivors;
    const words = segmentWords(segment.text, { tokenizer: deps.tokenizer, survivors }, job.options);
    const scores = await scoreInChunks(scorer, {
      text: segment.text,
      groups: words.groups,
      ends: job.options.chunk_end_tokens ?? null,
      signal: job.signal,
    });
    const probabilities =
      job.options.token_to_word === 'first'
        ? firstValues(scores, words.groups)
        : groupMeans(shareTokens(scores, words.groups));
    return { words, probabilities };
  });
  const kept = keptContexts(input, judged);
  const filtered = kept.length < open.length;
  const quotas = filtered ? contextQuotas(input, kept) : open.map((s) => s.budgetTokens);
  const segments = new Map<number, SegmentDecision>();
  const notes = new Set<string>();
  open.forEach(({ index, segment }, position) => {
    const own = judged[position];
    if (own === undefined) return;
    if (!kept.includes(position)) {
      const whole = wholeMask(segment.text);
      const mask = { ...whole, keep: Uint8Array.of(0), why: Uint8Array.of(0) };
      segments.set(index, { mask, method: 'llmlingua2', guards: 'units' });
      return;
    }
    if (job.options.use_token_level_filter === false) {
      segments.set(index, { mask: wholeMask(segment.text), method: 'llmlingua2', guards: 'units' });
      return;
    }
    const budgetTokens = Math.floor((quotas[position] ?? 0) + 1e-9);
    const cut = cutForced({ ...own, budgetTokens, deps, options: job.options });
    if (cut.belowSurvivors) notes.add(belowSurvivorsNote);
    segments.set(index, decisionOf(cut, { method: 'llmlingua2', guards: 'words' }));
  });
  return { segments, notes: [...notes] };
}

/** Value of the first token that starts in (or reaches into) each group; NaN without one. */
function firstValues(scores: TokenScores, groups: GroupRanges): Float32Array {
  let token = 0;
  return Float32Array.from(groups.starts, (start, group) => {
    while (token < scores.ends.length && (scores.ends[token] ?? 0) <= start) token++;
    const reaches = (scores.starts[token] ?? Number.POSITIVE_INFINITY) < (groups.ends[group] ?? 0);
    return reaches ? (scores.values[token] ?? Number.NaN) : Number.NaN;
  });
}

/**
 * Positions that the context filter keeps (`use_context_level_filter`, off by default as in the reference's own
 * function), best mean keep probability first: `target_context` of them, or as many as fit
 * `context_level_target_token` tokens or `context_level_rate` of all tokens; without any of the three half of what the
 * budget removes is removed here. Forced ones (`force_context_ids`) and those with a rate of their own always stay.
 */
function keptContexts({ job, open }: OpenJob, judged: readonly JudgedSegment[]): number[] {
  const { options } = job;
  const all = open.map((_, position) => position);
  if (options.use_context_level_filter !== true || open.length < 2) return all;
  const scores = judged.map(({ probabilities }) =>
    mean(probabilities.filter((value) => !Number.isNaN(value))),
  );
  const ranked = [...all].sort((a, b) => (scores[b] ?? 0) - (scores[a] ?? 0) || a - b);
  const total = open.reduce((sum, { tokens }) => sum + tokens, 0);
  const budget = open.reduce((sum, { budgetTokens }) => sum + budgetTokens, 0);
  const rate = options.context_level_rate ?? (budget / total + 1) / 2;
  const asked = options.context_level_target_token ?? 0;
  const count = options.target_context ?? 0;
  const most = count > 0 ? Number.POSITIVE_INFINITY : asked > 0 ? asked : rate * total;
  const kept = new Set(
    all.filter((position) => {
      const segment = open[position];
      return (
        segment?.ownRate === true ||
        options.force_context_ids?.includes(segment?.index ?? -1) === true
      );
    }),
  );
  let used = [...kept].reduce((sum, position) => sum + (open[position]?.tokens ?? 0), 0);
  for (const position of ranked) {
    if (count > 0 && kept.size >= count) break;
    const { tokens } = open[position] ?? { tokens: 0 };
    if (kept.has(position) || (kept.size > 0 && used + tokens > most)) continue;
    kept.add(position);
    used += tokens;
  }
  return ranked.filter((position) => kept.has(position));
}
