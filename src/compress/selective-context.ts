/**
 * `selective-context`: units with little self-information go (Li et al., EMNLP 2023). Units are
 * phrases, sentences or words (`reduce_level`); no question is used.
 *
 * Where it differs from the reference implementation, on purpose: the budget is in tokens, not in units; white space
 * stays; sentences are read after the sentence before them, so that their first words do not all look surprising;
 * short sentences share one pass, so that a token goes through the scorer about once; phrases come from rules.
 */
import type { SurprisalScorer } from '../score/types.ts';
import { sentenceRanges } from '../tokenize/sentences.ts';
import { groupCosts } from './budget.ts';
import type { FitResult } from './budget.ts';
import { declaredOnly, survivorGroups } from './guards.ts';
import { runJob, why } from './job.ts';
import type { JobDecision, OpenJob, OpenSegment, SegmentDecision } from './job.ts';
import { belowSurvivorsNote, decisionOf } from './llmlingua-cut.ts';
import { requireSurprisal, scoringLanes, textSurprisal } from './llmlingua-surprisal.ts';
import type { TextSurprisal } from './llmlingua-surprisal.ts';
import { cutWords, groupMeans, mapBounded, segmentWords, shareTokens } from './llmlingua-words.ts';
import type { GroupRanges } from './mask.ts';
import { decideSelectiveByReference } from './selective-context-reference.ts';
import type { PhraseSplitter } from './selective-context-reference.ts';
import { phraseStarts } from './selective-context-phrases.ts';
import type { Compressor, CompressorDeps } from './types.ts';

/** Tokens per pass: sentences are put together up to about this many. */
const passTokens = 192;

/**
 * @param phrasesOf Phrases of a sentence; only reference mode at phrase level asks for them (the reference uses spaCy).
 */
export function createSelectiveContext(
  deps: CompressorDeps,
  phrasesOf: PhraseSplitter | null = null,
): Compressor {
  const scorer = deps.scorers.surprisal;
  return {
    method: 'selective-context',
    id: `selective-context@1+${scorer?.id ?? 'none'}+${deps.tokenizer.id}`,
    async compress(job) {
      const present = requireSurprisal(scorer, 'selective-context');
      return runJob(job, deps, (input) =>
        job.options.reference === true
          ? decideSelectiveByReference(present, input, phrasesOf)
          : decide(present, input),
      );
    },
  };
}

async function decide(scorer: SurprisalScorer, input: OpenJob): Promise<JobDecision> {
  const decided = await mapBounded(input.open, scoringLanes, async (segment) => ({
    index: segment.index,
    ...(await decideSegment(scorer, input, segment)),
  }));
  return {
    segments: new Map(decided.map(({ index, decision }) => [index, decision])),
    notes: decided.some(({ belowSurvivors }) => belowSurvivors) ? [belowSurvivorsNote] : [],
  };
}

async function decideSegment(
  scorer: SurprisalScorer,
  { job, deps }: OpenJob,
  { segment, budgetTokens }: OpenSegment,
): Promise<Settled> {
  const { text } = segment;
  const { tokenizer } = deps;
  const sentences = visibleSentences(text);
  const scored = await textSurprisal({
    scorer,
    text,
    groups: sentences,
    windowTokens: passTokens,
    left: { kind: 'original' },
    signal: job.signal,
  });
  if (job.options.reduce_level === 'sent') {
    const survivors = survivorGroups(text, sentences, declaredOnly(job.survivors));
    const words = {
      text,
      groups: sentences,
      costs: groupCosts(tokenizer.encode(text), sentences),
      fixed: survivors.map((survives) => (survives === 1 ? why.survivor : 0)),
    };
    const scores = groupMeans(shareTokens(scored, sentences));
    const cut = cutWords({ words, scores, by: 'score', budgetTokens, tokenizer });
    return settled(cut, 'units');
  }
  const words = segmentWords(text, { tokenizer, survivors: job.survivors }, job.options);
  const firsts =
    job.options.reduce_level === 'token'
      ? Array.from(words.groups.starts, (_, group) => group)
      : phraseStarts(text, words.groups);
  const scores = unitScores(scored, words.groups, firsts);
  return settled(cutWords({ words, scores, by: 'score', budgetTokens, tokenizer }), 'words');
}

interface Settled {
  readonly decision: SegmentDecision;
  readonly belowSurvivors: boolean;
}

function settled(cut: FitResult, guards: 'words' | 'units'): Settled {
  const decision = decisionOf(cut, { method: 'selective-context', guards });
  return { decision, belowSurvivors: cut.belowSurvivors };
}

/** Sentences without the white space around them. */
function visibleSentences(text: string): GroupRanges {
  const ranges = sentenceRanges(text).flatMap(({ start, end }) => {
    const sentence = text.slice(start, end);
    const trimmed = sentence.trim();
    const from = start + sentence.length - sentence.trimStart().length;
    return trimmed === '' ? [] : [{ from, to: from + trimmed.length }];
  });
  return {
    starts: Uint32Array.from(ranges, ({ from }) => from),
    ends: Uint32Array.from(ranges, ({ to }) => to),
  };
}

/** Every group gets the mean surprisal of its unit's tokens. */
function unitScores(
  scored: TextSurprisal,
  groups: GroupRanges,
  firsts: readonly number[],
): Float32Array {
  const { sums, weights } = shareTokens(scored, groups);
  const scores = new Float32Array(sums.length).fill(Number.NaN);
  firsts.forEach((first, unit) => {
    const after = firsts[unit + 1] ?? sums.length;
    let sum = 0;
    let weight = 0;
    for (let group = first; group < after; group++) {
      sum += sums[group] ?? 0;
      weight += weights[group] ?? 0;
    }
    if (weight > 0) scores.fill(sum / weight, first, after);
  });
  return scores;
}
