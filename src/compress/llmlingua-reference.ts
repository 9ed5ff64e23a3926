/** Reference mode of `llmlingua` and `longllmlingua` as masks; the arithmetic is in reference/. For comparison only. */
import type { SurprisalScorer } from '../score/types.ts';
import { sentenceRanges } from '../tokenize/sentences.ts';
import type { JobDecision, OpenJob, SegmentDecision } from './job.ts';
import { maskFromKeep } from './mask.ts';
import { referenceLlmlingua } from './reference/llmlingua.ts';
import type { ReferenceRun, TokenStage } from './reference/llmlingua.ts';
import { referenceModel } from './reference/models.ts';
import { orderOf } from './llmlingua-contexts.ts';

/**
 * The reference's choice over the open segments as its contexts. Sentences come from this package's own splitter where
 * the reference uses Punkt. Kept pieces of words and characters become runs of whole characters, and the text is
 * rendered with a separator in every gap, where the reference glues tokens.
 */
export async function decideByReference(
  scorer: SurprisalScorer,
  input: OpenJob,
  method: 'llmlingua' | 'longllmlingua',
): Promise<JobDecision> {
  const { job, open } = input;
  const texts = open.map(({ segment }) => segment.text);
  const run = await referenceLlmlingua(referenceModel(scorer, job.signal), {
    method,
    contexts: texts,
    instruction: job.instruction,
    question: job.question,
    rate: job.budget.type === 'rate' ? job.budget.rate : 1,
    targetToken: job.budget.type === 'tokens' ? job.budget.tokens : null,
    options: job.options,
    sentencesOf: (text) => sentencesOf(text),
  });
  const flags = keptCharacters(scorer, { run, texts });
  const segments = new Map<number, SegmentDecision>();
  open.forEach(({ index }, position) => {
    const marks = flags[position] ?? new Uint8Array(0);
    segments.set(index, { mask: maskOfCharacters(marks), method, guards: 'units' });
  });
  return { segments, order: orderOf(input, run.contextsUsed) };
}

function sentencesOf(text: string): string[] {
  return sentenceRanges(text).map(({ start, end }) => text.slice(start, end));
}

/** Per context one flag per UTF-16 unit. */
function keptCharacters(
  scorer: SurprisalScorer,
  at: { readonly run: ReferenceRun; readonly texts: readonly string[] },
): Uint8Array[] {
  const { run, texts } = at;
  const flags = texts.map((text) => new Uint8Array(text.length));
  const keptInJoined = run.tokens === null ? null : joinedFlags(scorer, run.tokens);
  let offset = run.tokens?.startOffset ?? 0;
  run.contextsUsed.forEach((context, place) => {
    const kept = run.contexts[place] ?? '';
    const text = texts[context] ?? '';
    const marks = flags[context];
    const from = offset;
    originalOffsets(text, kept).forEach((original, i) => {
      if (marks !== undefined && (keptInJoined === null || keptInJoined[from + i] === 1))
        marks[original] = 1;
    });
    offset += kept.length + 2;
  });
  return flags;
}

function joinedFlags(scorer: SurprisalScorer, tokens: TokenStage): Uint8Array {
  const { starts, ends } = scorer.encode(tokens.joined);
  const marks = new Uint8Array(tokens.joined.length);
  for (const position of tokens.keptPositions) {
    const token = position + tokens.start;
    marks.fill(1, starts[token] ?? 0, ends[token] ?? 0);
  }
  return marks;
}

/** Where each character of `kept` (the text less some of its sentences) stands in the text. */
function originalOffsets(text: string, kept: string): number[] {
  const offsets: number[] = [];
  let taken = 0;
  for (const { start, end } of sentenceRanges(text)) {
    const sentence = text.slice(start, end);
    if (kept !== text && !kept.startsWith(sentence, taken)) continue;
    for (let i = start; i < end; i++) offsets.push(i);
    taken += sentence.length;
  }
  return offsets;
}

/** Groups are the runs of kept and of dropped characters. */
function maskOfCharacters(marks: Uint8Array): SegmentDecision['mask'] {
  const starts: number[] = [];
  marks.forEach((mark, i) => {
    if (i === 0 || mark !== marks[i - 1]) starts.push(i);
  });
  return maskFromKeep({
    groups: {
      starts: Uint32Array.from(starts),
      ends: Uint32Array.from(starts, (_, i) => starts[i + 1] ?? marks.length),
    },
    keep: Uint8Array.from(starts, (start) => marks[start] ?? 0),
  });
}
