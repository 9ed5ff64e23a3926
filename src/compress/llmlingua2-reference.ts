/** Reference mode of `llmlingua2` as masks; the arithmetic is in reference/llmlingua2.ts. For comparison only. */
import type { KeepScorer } from '../score/types.ts';
import type { JobDecision, OpenJob, SegmentDecision } from './job.ts';
import { maskFromKeep } from './mask.ts';
import type { KeepMask } from '../core/mask.ts';
import { referenceLlmlingua2 } from './reference/llmlingua2.ts';
import type { Llmlingua2Prompt, Llmlingua2Run } from './reference/llmlingua2.ts';
import { referenceKeepModel } from './reference/models.ts';
import type { ReferenceVocabulary } from './reference/models.ts';
import type { MethodOptions } from './types.ts';

/** The reference's arguments out of options of the same names. */
export function referencePrompt(
  contexts: readonly string[],
  asked: { readonly rate: number; readonly targetToken: number; readonly options: MethodOptions },
): Llmlingua2Prompt {
  const { rate, targetToken, options } = asked;
  return {
    contexts,
    rate,
    targetToken,
    useContextFilter: options.use_context_level_filter ?? false,
    useTokenFilter: options.use_token_level_filter ?? true,
    targetContext: options.target_context ?? -1,
    contextRate: options.context_level_rate ?? 1,
    contextTargetToken: options.context_level_target_token ?? -1,
    forcedContexts: options.force_context_ids ?? [],
    tokenToWord: options.token_to_word ?? 'mean',
    forceTokens: options.force_tokens ?? [],
    reserveDigit: options.force_reserve_digit ?? false,
    dropConsecutive: options.drop_consecutive ?? false,
    chunkEndTokens: options.chunk_end_tokens ?? ['.', '\n'],
  };
}

export async function decideByReference2(
  scorer: KeepScorer,
  vocabulary: ReferenceVocabulary,
  { job, open }: OpenJob,
): Promise<JobDecision> {
  const texts = open.map(({ segment }) => segment.text);
  const run = await referenceLlmlingua2(
    referenceKeepModel(scorer, vocabulary, job.signal),
    referencePrompt(texts, {
      rate: job.budget.type === 'rate' ? job.budget.rate : 1,
      targetToken: job.budget.type === 'tokens' ? job.budget.tokens : -1,
      options: job.options,
    }),
  );
  const segments = new Map<number, SegmentDecision>();
  open.forEach(({ index, segment }, position) => {
    const mask = wordsMask(segment.text, run, position);
    segments.set(index, { mask, method: 'llmlingua2', guards: 'units' });
  });
  return { segments };
}

/** Words are found again in the text in order; one whose characters the vocabulary changed is passed over. */
function wordsMask(text: string, run: Llmlingua2Run, position: number): KeepMask {
  const starts: number[] = [];
  const ends: number[] = [];
  const keep: number[] = [];
  const whole = run.contextKept[position] === true;
  let at = 0;
  (run.chunks[position] ?? []).forEach((chunk, c) => {
    chunk.words.forEach((word, w) => {
      const found = text.indexOf(word, at);
      if (found < 0 || word === '') return;
      starts.push(found);
      ends.push(found + word.length);
      keep.push(run.labels === null ? Number(whole) : (run.labels[position]?.[c]?.[w] ?? 0));
      at = found + word.length;
    });
  });
  return maskFromKeep({
    groups: { starts: Uint32Array.from(starts), ends: Uint32Array.from(ends) },
    keep: Uint8Array.from(keep),
  });
}
